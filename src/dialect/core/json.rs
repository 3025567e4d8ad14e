//! Access to JSON values by name, with faults that name the location.
//!
//! A fault in one part of a frame does not affect the others. An absent or `null` field is `None`; one of the wrong
//! type is a fault with its location (`channel.alternatives[0].words[3].start`), and `None`.

use std::fmt;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::options::Options;
use crate::transcript::MediaMs;

/// Returns the report of an engine or library in a message of no other type: `{"error": …}`, `{"err_msg": …}`,
/// `{"BadRequestException": {"Message": …}}`.
pub(crate) fn engine_report(message: &Value) -> Option<String> {
    const NAMES: [&str; 8] =
        ["error", "errors", "err_msg", "errorMessage", "error_message", "exception", "fault", "warning"];
    const TEXTS: [&str; 8] = ["message", "Message", "error", "description", "detail", "reason", "err_msg", "type"];
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => TEXTS.iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned),
        _ => None,
    };
    let fields = message.as_object()?;
    for (name, value) in fields {
        let is_report = NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
        let is_exception = name.to_ascii_lowercase().ends_with("exception");
        if (is_report || is_exception) && !value.is_null() && *value != Value::Bool(false) {
            let why = text(value).unwrap_or_else(|| "no reason is given".into());
            return Some(if is_exception { format!("{name}: {why}") } else { why });
        }
    }
    // The type that AWS services put before an error message, and the forms of proxies and libraries.
    let kind = ["__type", "code", "status"].iter().find_map(|name| fields.get(*name)?.as_str());
    let is_error =
        kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("exception") || kind.eq_ignore_ascii_case("error"));
    let why = text(message)?;
    (is_error
        || fields
            .keys()
            .all(|name| matches!(&**name, "message" | "Message" | "detail" | "code" | "request_id" | "requestId")))
    .then_some(why)
}

/// Returns a duration in milliseconds (`unit_ms` per unit) from the first of `names` that is present; `None`, without a
/// fault, if it is invalid.
pub(crate) fn raw_ms(value: &Value, names: &[&str], unit_ms: f64) -> Option<f64> {
    let found = names.iter().find_map(|name| value.get(name).filter(|value| !value.is_null()))?;
    let number = match found {
        Value::String(text) => text.trim().trim_end_matches('s').parse().ok(),
        other => other.as_f64(),
    };
    number.map(|number: f64| number * unit_ms).filter(|ms| ms.is_finite() && *ms >= 0.0)
}

/// Returns a string from the first of `names` that has one.
pub(crate) fn raw_text<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| value.get(name)?.as_str())
}

/// Returns the items of an array from the first of `names` that has one.
pub(crate) fn raw_items<'a>(value: &'a Value, names: &[&str]) -> &'a [Value] {
    names.iter().find_map(|name| value.get(name)?.as_array()).map_or(&[], Vec::as_slice)
}

/// Location of a value, formatted only if there is a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JsonPlace<'a> {
    Top,
    Field(&'a JsonPlace<'a>, &'static str),
    Item(&'a JsonPlace<'a>, usize),
}

impl fmt::Display for JsonPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Field(Self::Top, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value and its location.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonNode<'a> {
    pub(crate) value: &'a Value,
    pub(crate) place: JsonPlace<'a>,
}

impl<'a> JsonNode<'a> {
    /// Returns the node of a whole message.
    pub(crate) fn top(value: &'a Value) -> Self {
        Self { value, place: JsonPlace::Top }
    }

    /// Returns the field under the first of `names` that is present: vendors write `isFinal`, their libraries
    /// `is_final`.
    pub(crate) fn get(&'a self, names: &[&'static str]) -> Option<JsonNode<'a>> {
        names.iter().find_map(|name| {
            let value = self.value.get(name).filter(|value| !value.is_null())?;
            Some(JsonNode { value, place: JsonPlace::Field(&self.place, name) })
        })
    }

    /// Returns a string.
    pub(crate) fn text(&'a self, names: &[&'static str], out: &mut Decoded) -> Option<&'a str> {
        let node = self.get(names)?;
        let text = node.value.as_str();
        if text.is_none() {
            out.fault(DecodeFaultKind::BadField, format!("{} must be a string", node.place));
        }
        text
    }

    /// Returns a label, which some vendors write as a number.
    pub(crate) fn label(&'a self, names: &[&'static str], out: &mut Decoded) -> Option<String> {
        let node = self.get(names)?;
        match node.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                out.fault(
                    DecodeFaultKind::Odd,
                    format!("{} must be a string or a number: it was left out", node.place),
                );
                None
            }
        }
    }

    /// Returns a Boolean; false if absent. Some vendors write `"true"`.
    pub(crate) fn flag(&'a self, names: &[&'static str], out: &mut Decoded) -> bool {
        let Some(node) = self.get(names) else { return false };
        match node.value {
            Value::Bool(flag) => *flag,
            Value::String(text) if text == "true" => true,
            Value::String(text) if text == "false" => false,
            _ => {
                out.fault(DecodeFaultKind::BadField, format!("{} must be true or false", node.place));
                false
            }
        }
    }

    /// Returns a non-negative whole number.
    pub(crate) fn number(&'a self, names: &[&'static str], out: &mut Decoded) -> Option<u64> {
        let node = self.get(names)?;
        let number = node.value.as_u64();
        if number.is_none() {
            out.fault(DecodeFaultKind::BadField, format!("{} must be a whole number, and not negative", node.place));
        }
        number
    }

    /// Returns the confidence; `None` if it is not between 0 and 1.
    pub(crate) fn confidence(&'a self, names: &[&'static str]) -> Option<f64> {
        self.get(names)?.value.as_f64().filter(|confidence| (0.0..=1.0).contains(confidence))
    }

    /// Calls `take` for the items of an array.
    pub(crate) fn items(
        &'a self,
        names: &[&'static str],
        out: &mut Decoded,
        mut take: impl FnMut(JsonNode<'_>, &mut Decoded),
    ) {
        let Some(node) = self.get(names) else { return };
        let Value::Array(items) = node.value else {
            out.fault(DecodeFaultKind::BadField, format!("{} must be an array", node.place));
            return;
        };
        for (index, value) in items.iter().enumerate() {
            take(JsonNode { value, place: JsonPlace::Item(&node.place, index) }, out);
        }
    }

    /// Returns a time on the feed's axis, from a number or digits in a string (`unit_ms` milliseconds per unit).
    pub(crate) fn time(
        &'a self,
        names: &[&'static str],
        unit_ms: f64,
        options: &Options,
        out: &mut Decoded,
    ) -> Option<MediaMs> {
        let node = self.get(names)?;
        let number = match node.value {
            Value::String(text) => text.trim().trim_end_matches('s').parse().ok(),
            other => other.as_f64(),
        };
        let time = number.ok_or("must be a number").and_then(|number: f64| on_axis(number * unit_ms, options));
        match time {
            Ok(time) => Some(time),
            Err(why) => {
                out.fault(DecodeFaultKind::BadTime, format!("{} {why}: the time was left out", node.place));
                None
            }
        }
    }

    /// Returns a time given in seconds.
    pub(crate) fn seconds(&'a self, names: &[&'static str], options: &Options, out: &mut Decoded) -> Option<MediaMs> {
        self.time(names, 1000.0, options, out)
    }
}

/// Converts milliseconds of the vendor's session to media time, rounding half up. The error is the reason why that is
/// impossible.
pub(crate) fn on_axis(ms: f64, options: &Options) -> Result<MediaMs, &'static str> {
    if !ms.is_finite() {
        return Err("is no number");
    }
    if ms < 0.0 {
        return Err("is negative");
    }
    // Compared as a float first, because the conversion truncates. A session's clock may have started long before the
    // session.
    let ms = (ms + 0.5).floor();
    if ms > options.media_ms_max as f64 && options.offset_ms >= 0 {
        return Err("is beyond all media time: times are counted from the start of the session");
    }
    let time = (ms as MediaMs).saturating_add(options.offset_ms);
    match time {
        time if time < 0 => Err("is before the start of the feed, with offset_ms"),
        time if time > options.media_ms_max => Err("is beyond all media time, with offset_ms"),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_a_table() {
        let check = |json: &str, offset_ms: i64, expected: Option<i64>| {
            let options = Options { offset_ms, ..Options::new("t") };
            let value: Value = serde_json::from_str(json).expect("JSON");
            let value = serde_json::json!({ "at": value });
            let mut out = Decoded::default();
            let time = JsonNode { value: &value, place: JsonPlace::Top }.seconds(&["at"], &options, &mut out);
            assert_eq!(time, expected, "{json}");
            let is_fault = expected.is_none() && json != "null";
            assert_eq!(out.faults.len(), usize::from(is_fault), "{json}");
            assert!(
                out.faults
                    .iter()
                    .all(|fault| fault.kind == DecodeFaultKind::BadTime && fault.message.starts_with("at "))
            );
        };
        for (json, expected) in [
            ("null", None),
            ("0", Some(0)),
            ("65", Some(65_000)),
            ("1.2344", Some(1_234)),
            // Half a millisecond is rounded up, without float errors.
            ("0.0005", Some(1)),
            ("1.0625", Some(1_063)),
            ("\"12.340\"", Some(12_340)),
            ("\"1.300s\"", Some(1_300)),
            ("-0.001", None),
            ("1e300", None),
            ("604800", Some(604_800_000)),
            ("604800.001", None),
            ("\"NaN\"", None),
            ("\"inf\"", None),
            ("\"soon\"", None),
            ("true", None),
            ("[1]", None),
        ] {
            check(json, 0, expected);
        }
        check("1", 500, Some(1_500));
        check("1", -999, Some(1));
        check("1", -1_001, None);
        check("604800", 1, None);
        check("1", i64::MAX, None);
    }

    #[test]
    fn places_are_said() {
        let value = serde_json::json!({"a": {"b": [1, {"c": 7}]}});
        let mut out = Decoded::default();
        let top = JsonNode { value: &value, place: JsonPlace::Top };
        let a = top.get(&["x", "a"]).expect("a");
        a.items(&["b"], &mut out, |item, out| assert_eq!(item.text(&["c"], out), None));
        assert_eq!(
            out.faults,
            [crate::dialect::core::decoded::DecodeFault {
                kind: DecodeFaultKind::BadField,
                message: "a.b[1].c must be a string".into()
            }]
        );
    }
}

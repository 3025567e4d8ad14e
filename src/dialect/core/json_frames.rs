//! JSON frames: iteration over the objects in them.

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::message_shape::text_instead;
use crate::parse_error::describe_json_error;
use crate::transcript::json_text::replace_lone_surrogates;

/// Calls `take` with every JSON object of a frame; anything else is a fault.
pub(crate) fn each_object(frame: &[u8], out: &mut Decoded, mut take: impl FnMut(&Value, &mut Decoded)) {
    let (mut any, mut any_object) = (false, false);
    let mended = replace_lone_surrogates(frame);
    let frame = mended.as_deref().unwrap_or(frame);
    for value in serde_json::Deserializer::from_slice(frame).into_iter::<Value>() {
        any = true;
        match value {
            Ok(value @ Value::Object(_)) => {
                any_object = true;
                take(&value, out);
            }
            Ok(_) => out.fault(DecodeFaultKind::Unreadable, "the frame is JSON, but not a JSON object"),
            Err(_) if !any_object && !frame.trim_ascii_start().starts_with(b"{") => {
                let likely = text_instead(&String::from_utf8_lossy(frame));
                out.fault(DecodeFaultKind::Unreadable, format!("the frame is not JSON: {likely}"));
            }
            Err(error) => {
                out.fault(
                    DecodeFaultKind::Unreadable,
                    format!("the frame is not JSON: {}", describe_json_error(&error, frame)),
                );
            }
        }
    }
    if !any {
        out.fault(DecodeFaultKind::Unreadable, "the frame is empty: a JSON object was expected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_may_hold_several_objects() {
        let mut out = Decoded::default();
        let mut count = 0;
        each_object(b"{\"a\":1}\n {} 7 {\"b\":", &mut out, |_, _| count += 1);
        assert_eq!((count, out.faults.len()), (2, 2));
        each_object(b" ", &mut out, |_, _| count += 1);
        assert_eq!((count, out.faults.len()), (2, 3));
    }
}

//! The order of lines: start, source, natural order of the id, raw bytes of the id (semantics, section 4).
//!
//! One string of printable ASCII, the `sort` of a line, encodes this order: plain comparison in any language gives it.
//! No other code compares lines.

use std::cmp::Ordering;

use super::time::MediaMs;

/// Digits of the time in a sort string: 13 hold every start up to the year 2286 in milliseconds.
const TIME_DIGITS: usize = 13;

/// Digits of the length of a run of digits: an id has at most 128 bytes.
const LENGTH_DIGITS: usize = 3;

/// The greatest media time that a sort string can hold.
pub const SORT_MS_MAX: MediaMs = 9_999_999_999_999;

/// Returns the sort string of the line `source`/`id` that starts at `start_ms` (clamped to `0..=`[`SORT_MS_MAX`]).
///
/// `!` ends the time, the source and the id's natural form: it is less than every byte that a source or an id may
/// contain. A run of digits is written without leading zeros and after its length in three digits (an id has at most
/// 128 bytes), so that `9` sorts before `10`. The raw id comes last and decides between `7` and `07`.
#[must_use]
pub fn sort_key(start_ms: MediaMs, source: &str, id: &str) -> String {
    let mut key = String::with_capacity(TIME_DIGITS + 2 + source.len() + 2 * id.len() + 8);
    let start = start_ms.clamp(0, SORT_MS_MAX);
    push_digits::<TIME_DIGITS>(&mut key, start.unsigned_abs());
    key.push('!');
    key.push_str(source);
    key.push('!');
    let mut rest = id;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            let plain = rest.bytes().take_while(|b| !b.is_ascii_digit()).count();
            key.push_str(&rest[..plain]);
            rest = &rest[plain..];
        } else {
            let number = rest[..digits].trim_start_matches('0');
            push_digits::<LENGTH_DIGITS>(&mut key, number.len() as u64);
            key.push_str(number);
            rest = &rest[digits..];
        }
    }
    key.push('!');
    key.push_str(id);
    key
}

/// Appends `number` in `WIDTH` digits; a longer number loses its leading digits.
fn push_digits<const WIDTH: usize>(key: &mut String, mut number: u64) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    key.extend(digits.map(char::from));
}

/// Compares ids in natural order, then by raw bytes. This is the order that [`sort_key`] encodes.
#[must_use]
pub fn compare_ids(a: &str, b: &str) -> Ordering {
    natural(a.as_bytes(), b.as_bytes()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

fn natural(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number_a, number_b) = (digit_run(&mut a), digit_run(&mut b));
                let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
                if order != Ordering::Equal {
                    return order;
                }
            }
            (Some(x), Some(y)) if x == y => (a, b) = (&a[1..], &b[1..]),
            (Some(x), Some(y)) => return x.cmp(y),
        }
    }
}

/// Removes the leading run of digits from `text` and returns it without leading zeros.
fn digit_run<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let all = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let zeros = text[..all].iter().take_while(|b| **b == b'0').count();
    let (run, rest) = text.split_at(all);
    *text = rest;
    &run[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digit_runs_compare_as_numbers() {
        let sorted = ["", "-", "0", "00", "1", "9", "10", "010.b", "10.a", "A9", "A10", "a", "a-1", "a1", "a1.b", "a2"];
        let mut shuffled: Vec<&str> = sorted.iter().rev().copied().collect();
        shuffled.sort_by(|a, b| compare_ids(a, b));
        let expected =
            ["", "-", "0", "00", "1", "9", "10", "10.a", "010.b", "A9", "A10", "a", "a-1", "a1", "a1.b", "a2"];
        assert_eq!(shuffled, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn the_sort_string_says_the_order(
            a in (0i64..3, "[ab-]{1,2}", "[A0-2._:-]{1,6}"),
            b in (0i64..3, "[ab-]{1,2}", "[A0-2._:-]{1,6}"),
        ) {
            let said = sort_key(a.0, &a.1, &a.2).cmp(&sort_key(b.0, &b.1, &b.2));
            let meant = a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)).then_with(|| compare_ids(&a.2, &b.2));
            prop_assert_eq!(said, meant);
        }
    }
}

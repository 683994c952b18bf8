//! Which texts are numbers of JSON (RFC 8259 §6).

/// Whether `text` is a JSON number from its first to its last byte.
pub(super) fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (integer, rest) = split_digits(unsigned);
    if integer.is_empty() || (integer.len() > 1 && integer.starts_with('0')) {
        return false;
    }
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(after) => match split_digits(after) {
            ("", _) => return false,
            (_, rest) => rest,
        },
    };
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let (digits, rest) = split_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
            !digits.is_empty() && rest.is_empty()
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json_and_no_others() {
        for number in ["0", "-0", "7", "69.88083514", "-1.50", "1e5", "1E+05", "0.0e-0", "123456789012345678901234567890"] {
            assert!(is_json_number(number), "{number}");
        }
        for text in ["", "-", "+1", "01", "-01", "00", ".5", "1.", "1e", "1e+", "0x10", "NaN", "Infinity", " 1", "1 ", "1,5", "1_000", "٣"]
        {
            assert!(!is_json_number(text), "{text:?}");
        }
    }
}

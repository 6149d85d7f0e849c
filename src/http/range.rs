//! The `Range` header of media requests (contract `recordings.md` 2 and its deviations).
//!
//! Pure: from a header and a size to the bytes that are sent.

use std::ops::RangeInclusive;

/// Bytes sent for a range without an end.
const OPEN_END: u64 = 5 * 1024 * 1024;
/// The only unit.
const UNIT: &str = "bytes=";

/// What a client asks for. Numbers too large to hold stand for the largest, which is behind every file's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequest {
    /// From a byte, until another one if named.
    From(u64, Option<u64>),
    /// The last bytes, so many.
    Last(u64),
}

/// A header that is not one range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid range header, expected bytes=start-end")]
pub struct InvalidRange;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The whole file, 200.
    Whole,
    /// These bytes, 206.
    Part(RangeInclusive<u64>),
    /// Nothing, 416.
    Unsatisfiable,
}

impl RangeRequest {
    /// Reads `bytes=<digits>-[digits]` or `bytes=-<digits>`.
    ///
    /// # Errors
    /// For anything else, several ranges too.
    pub fn parse(header: &str) -> Result<Self, InvalidRange> {
        let (start, end) =
            header.trim().strip_prefix(UNIT).and_then(|range| range.split_once('-')).ok_or(InvalidRange)?;
        match (start.is_empty(), end.is_empty()) {
            (true, _) => Ok(Self::Last(number(end)?)),
            (false, true) => Ok(Self::From(number(start)?, None)),
            (false, false) => Ok(Self::From(number(start)?, Some(number(end)?))),
        }
    }

    /// What of a file of `size` bytes, which is not empty, is sent. A range that ends before it begins is
    /// ignored.
    #[must_use]
    pub fn select(self, size: u64) -> Selection {
        let last = size.saturating_sub(1);
        match self {
            Self::Last(0) => Selection::Unsatisfiable,
            Self::Last(count) => Selection::Part(size.saturating_sub(count)..=last),
            Self::From(start, _) if start >= size => Selection::Unsatisfiable,
            Self::From(start, Some(end)) if start > end => Selection::Whole,
            Self::From(start, end) => {
                let end = end.unwrap_or_else(|| start.saturating_add(OPEN_END - 1));
                Selection::Part(start..=end.min(last))
            }
        }
    }
}

fn number(digits: &str) -> Result<u64, InvalidRange> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidRange);
    }
    // All digits, so the only way to fail is to be too large.
    Ok(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_header_selects_bytes() {
        let huge = "9".repeat(40);
        let cases = [
            ("bytes=0-0", 10, Selection::Part(0..=0)),
            ("bytes=2-5", 10, Selection::Part(2..=5)),
            ("bytes=2-99", 10, Selection::Part(2..=9)),
            ("bytes=9-", 10, Selection::Part(9..=9)),
            ("bytes=0-", 10 * MIB, Selection::Part(0..=5 * MIB - 1)),
            ("bytes=1-", 10 * MIB, Selection::Part(1..=5 * MIB)),
            ("bytes=10-", 10, Selection::Unsatisfiable),
            ("bytes=10-5", 10, Selection::Unsatisfiable),
            ("bytes=5-2", 10, Selection::Whole),
            ("bytes=-3", 10, Selection::Part(7..=9)),
            ("bytes=-99", 10, Selection::Part(0..=9)),
            ("bytes=-0", 10, Selection::Unsatisfiable),
            ("bytes=00002-0000005", 10, Selection::Part(2..=5)),
            (&format!("bytes={huge}-"), 10, Selection::Unsatisfiable),
            (&format!("bytes=0-{huge}"), 10, Selection::Part(0..=9)),
            (&format!("bytes=-{huge}"), 10, Selection::Part(0..=9)),
            ("bytes=18446744073709551614-", u64::MAX, Selection::Part(u64::MAX - 1..=u64::MAX - 1)),
        ];
        for (header, size, expected) in cases {
            assert_eq!(RangeRequest::parse(header).unwrap().select(size), expected, "{header} of {size}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-2,3-4",
            "bytes=1-2-3",
            "bytes=--1",
            "bytes=+1-2",
            "bytes= 1-2",
            "Bytes=1-2",
            "items=1-2",
            "bytes=1",
            "bytes=١-٢",
        ] {
            assert_eq!(RangeRequest::parse(header), Err(InvalidRange), "{header:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_asked_lies_within_the_file(header in "bytes=[0-9]{0,25}-[0-9]{0,25}", size in 1..u64::MAX) {
            if let Ok(request) = RangeRequest::parse(&header)
                && let Selection::Part(part) = request.select(size)
            {
                proptest::prop_assert!(part.start() <= part.end() && *part.end() < size);
            }
        }
    }
}

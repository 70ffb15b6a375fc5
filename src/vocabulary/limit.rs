//! What a limit counts, and in which time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::{Instant, Millis};

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Requests.
    Requests,
    /// Tokens of input and output.
    Tokens,
    /// Millionths of a US dollar.
    MicroUsd,
    /// Requests in flight.
    Concurrent,
}

/// The time in which an amount may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A token bucket: the amount comes back evenly within a minute.
    Minute,
    /// A token bucket of an hour.
    Hour,
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

/// How much may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRate {
    /// What is counted.
    pub unit: LimitUnit,
    /// The most units.
    pub amount: u64,
    /// In which time. `None`: at any one time, for [`LimitUnit::Concurrent`].
    #[serde(default)]
    pub per: Option<Period>,
}

impl LimitUnit {
    /// The name in messages and reports. It is OpenAI's `type` of an error, where OpenAI has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::MicroUsd => "usd",
            Self::Concurrent => "concurrent",
        }
    }
}

impl LimitRate {
    /// Whether it is an amount of a calendar period, which does not come back before its end.
    pub const fn is_quota(&self) -> bool {
        matches!(self.per, Some(Period::Day | Period::Month))
    }

    /// The limit in a sentence: `600 requests a minute`.
    pub fn in_words(&self) -> String {
        let amount = self.amount;
        let what = match self.unit {
            LimitUnit::Requests => format!("{amount} requests"),
            LimitUnit::Tokens => format!("{amount} tokens"),
            LimitUnit::MicroUsd => {
                let (dollars, rest) = (amount / 1_000_000, format!("{:06}", amount % 1_000_000));
                let rest = rest.trim_end_matches('0');
                if rest.is_empty() {
                    format!("{dollars} US dollars")
                } else {
                    format!("{dollars}.{rest} US dollars")
                }
            }
            LimitUnit::Concurrent => return format!("{amount} requests at the same time"),
        };
        match self.per {
            Some(Period::Hour) => format!("{what} an hour"),
            Some(per) => format!("{what} a {}", per.name()),
            None => what,
        }
    }
}

impl fmt::Display for LimitRate {
    /// What is counted in which time: `tokens/day`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.unit.name())?;
        match self.per {
            Some(per) => write!(formatter, "/{}", per.name()),
            None => Ok(()),
        }
    }
}

impl Period {
    /// The name in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The time in which a token bucket fills; `None` for calendar periods.
    pub const fn bucket_ms(self) -> Option<Millis> {
        match self {
            Self::Minute => Some(Millis::new(60_000)),
            Self::Hour => Some(Millis::new(3_600_000)),
            Self::Day | Self::Month => None,
        }
    }

    /// The end of the calendar period of a point in time; `None` for token buckets.
    pub fn end(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Minute | Self::Hour => None,
            Self::Day => Some(now.day_end()),
            Self::Month => Some(now.month_end()),
        }
    }
}

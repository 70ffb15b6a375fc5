//! Families of series, and the key of a series.

use super::histogram;
use super::label_table::{EMPTY, LabelId, OTHER};
use super::usage_cells;

/// A family of series. Its number is its name in messages and in storage, so it never changes. A
/// family whose cells change gets another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Requests, by client, model and outcome.
    Requests = 1,
    /// The duration of requests, by model: a histogram.
    RequestDuration = 2,
    /// The time to the first token of streams, by deployment: a histogram.
    FirstToken = 3,
    /// Attempts, by deployment and outcome.
    Attempts = 4,
    /// The duration of attempts up to their commit point or failure, by deployment: a histogram.
    AttemptDuration = 5,
    /// Requests that another deployment than the first one was asked to serve, by model and result.
    Fallbacks = 6,
    /// Ejections, by deployment and reason.
    Ejections = 7,
    /// Tokens, images, audio, characters and money, by client, model and deployment.
    Usage = 8,
    /// The duration of requests, by client: a histogram.
    ClientDuration = 9,
    /// Requests of nodes that keep answers, by model and by what the cache had.
    CacheRequests = 10,
}

/// The most series of a family of single numbers.
const MOST_SERIES: usize = 2_000;

/// The most series of a family of histograms, which have many cells.
const MOST_HISTOGRAMS: usize = 1_000;

impl Family {
    /// Every family.
    pub const ALL: [Self; 10] = [
        Self::Requests,
        Self::RequestDuration,
        Self::FirstToken,
        Self::Attempts,
        Self::AttemptDuration,
        Self::Fallbacks,
        Self::Ejections,
        Self::Usage,
        Self::ClientDuration,
        Self::CacheRequests,
    ];

    /// The family with this number.
    pub(super) fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|family| *family as u64 == number)
    }

    /// The position among all families.
    pub(super) fn index(self) -> usize {
        self as usize - 1
    }

    /// How many labels its series have.
    pub(super) fn labels(self) -> usize {
        match self {
            Self::Requests | Self::Usage => 3,
            Self::Attempts | Self::Fallbacks | Self::Ejections | Self::CacheRequests => 2,
            Self::RequestDuration | Self::ClientDuration | Self::FirstToken | Self::AttemptDuration => 1,
        }
    }

    /// How many numbers each of its series has.
    pub(super) fn cells(self) -> usize {
        match self {
            Self::RequestDuration | Self::ClientDuration | Self::FirstToken | Self::AttemptDuration => {
                histogram::CELLS
            }
            Self::Usage => usage_cells::COUNT,
            Self::Requests | Self::Attempts | Self::Fallbacks | Self::Ejections | Self::CacheRequests => 1,
        }
    }

    /// The most series that it may have, without the one for everything else.
    pub fn most_series(self) -> usize {
        if self.cells() == histogram::CELLS { MOST_HISTOGRAMS } else { MOST_SERIES }
    }
}

/// The key of a series. Labels that the family does not have are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) family: Family,
    pub(super) labels: [LabelId; 3],
}

impl SeriesKey {
    /// The series for everything that has no room in its family.
    pub(super) fn other(family: Family) -> Self {
        let mut labels = [EMPTY; 3];
        labels.iter_mut().take(family.labels()).for_each(|label| *label = OTHER);
        Self { family, labels }
    }
}

/// A series: its key and its numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) key: SeriesKey,
    pub(super) cells: Vec<u64>,
}

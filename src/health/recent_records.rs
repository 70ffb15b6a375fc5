//! The records of recent requests that failed, or in which an attempt failed, for people who ask
//! about one of them.
//!
//! An isolate keeps its own, and sends them with its reports. The hub keeps those of all regions,
//! in memory: an eviction loses them, and the log still has them. A report that is lost loses its
//! records, too.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The most records that are kept.
const MOST_RECORDS: usize = 400;
/// The most bytes of their texts.
const MOST_BYTES: usize = 512 * 1024;
/// The most bytes of records that go with one report. A shard sends those of all its isolates.
const MOST_SENT_BYTES: usize = 128 * 1024;
/// The longest text of a record that goes with a report, in bytes.
const LONGEST: usize = 4 * 1024;

/// The record of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecentRecord {
    /// The id of the request.
    pub id: String,
    /// The record as the log has it, in JSON.
    pub json: String,
}

/// The latest records, oldest first.
#[derive(Debug, Clone, Default)]
pub struct RecentRecords {
    records: VecDeque<RecentRecord>,
    bytes: usize,
    /// How many of the latest have not been sent yet.
    unsent: usize,
}

impl RecentRecords {
    /// Keeps a record. The oldest ones leave when there is no room.
    pub fn push(&mut self, record: RecentRecord) {
        if record.json.len() > MOST_BYTES {
            return;
        }
        self.bytes += record.json.len();
        self.records.push_back(record);
        self.unsent += 1;
        while self.records.len() > MOST_RECORDS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.json.len());
        }
        self.unsent = self.unsent.min(self.records.len());
    }

    /// The latest of the records that were not sent yet. They count as sent from now on, and so do
    /// those that do not fit.
    pub fn take_unsent(&mut self) -> Vec<RecentRecord> {
        let unsent = self.records.iter().rev().take(std::mem::take(&mut self.unsent));
        let mut room = MOST_SENT_BYTES;
        let fits = |record: &&RecentRecord| {
            room = room.saturating_sub(record.json.len());
            room > 0
        };
        let short = unsent.filter(|record| record.json.len() <= LONGEST);
        let mut sent: Vec<_> = short.take_while(fits).cloned().collect();
        sent.reverse();
        sent
    }

    /// The record of the request with this id.
    pub fn get(&self, id: &str) -> Option<&RecentRecord> {
        self.records.iter().rev().find(|record| record.id == id)
    }

    /// All records, latest first, as a JSON list.
    pub fn to_json(&self) -> String {
        let texts: Vec<&str> = self.records.iter().rev().map(|record| record.json.as_str()).collect();
        format!("[{}]", texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize, length: usize) -> RecentRecord {
        RecentRecord { id: format!("req_{number}"), json: "x".repeat(length) }
    }

    #[test]
    fn the_oldest_records_leave_when_there_are_too_many_or_they_are_too_long() {
        let mut records = RecentRecords::default();
        for number in 0..MOST_RECORDS + 5 {
            records.push(record(number, 10));
        }
        assert_eq!((records.records.len(), records.bytes), (MOST_RECORDS, MOST_RECORDS * 10));
        assert_eq!(records.get("req_4"), None);
        assert_eq!(records.get("req_5"), Some(&record(5, 10)));
        records.push(record(0, MOST_BYTES));
        assert_eq!(records.records.len(), 1);
        records.push(record(1, MOST_BYTES + 1));
        assert_eq!(records.get("req_1"), None, "it has no room at all");
        assert_eq!(RecentRecords::default().to_json(), "[]");
    }

    #[test]
    fn a_report_has_the_latest_records_once() {
        let mut records = RecentRecords::default();
        for number in 0..MOST_SENT_BYTES / 1_000 + 5 {
            records.push(record(number, 1_000));
        }
        records.push(record(999, LONGEST + 1));
        let sent = records.take_unsent();
        assert_eq!(sent.len(), MOST_SENT_BYTES / 1_000, "a long one stays here, and the oldest do");
        assert_eq!(sent.first(), Some(&record(5, 1_000)));
        assert_eq!(records.take_unsent(), []);
        records.push(record(1_000, 10));
        assert_eq!(records.take_unsent(), [record(1_000, 10)]);
    }
}

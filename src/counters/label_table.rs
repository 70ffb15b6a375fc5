//! The labels of series as small numbers, so that adding to a series compares numbers and copies no
//! text.
//!
//! Sorted lists with binary search do what maps would do, here and in the sets of series and of
//! reporters: they grow seldom, and each type of a map is some kilobytes of Wasm.

use std::rc::Rc;

/// The longest label, in bytes. Longer ones are cut.
pub const MOST_LABEL_BYTES: usize = 128;

/// The most bytes of all labels together.
const MOST_BYTES: usize = 128 * 1024;

/// The most labels.
const MOST_LABELS: usize = 8_000;

/// The number of a label in its table.
pub(super) type LabelId = u16;

/// The number of the empty label: what is not known.
pub(super) const EMPTY: LabelId = 0;

/// The number of the label of everything that has no room.
pub(super) const OTHER: LabelId = 1;

/// How many labels every table begins with.
pub(super) const RESERVED: usize = 2;

/// Labels, numbered in the order of their first use. A name `other` in a document has a number of
/// its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LabelTable {
    labels: Vec<Rc<str>>,
    /// The numbers of all labels but that of everything else, in the order of the labels.
    sorted: Vec<LabelId>,
    bytes: usize,
}

impl Default for LabelTable {
    fn default() -> Self {
        let reserved: [Rc<str>; RESERVED] = ["".into(), "other".into()];
        Self { labels: reserved.into(), sorted: vec![EMPTY], bytes: 0 }
    }
}

impl LabelTable {
    /// The number of this label. A new one is added, if there is room.
    pub(super) fn id(&mut self, label: &str) -> LabelId {
        let label = label.get(..label.floor_char_boundary(MOST_LABEL_BYTES)).unwrap_or_default();
        let found = self.sorted.binary_search_by(|id| self.label(*id).cmp(label));
        let place = match found {
            Ok(at) => return self.sorted.get(at).copied().unwrap_or(OTHER),
            Err(place) => place,
        };
        let has_room = self.labels.len() < MOST_LABELS && self.bytes + label.len() <= MOST_BYTES;
        match LabelId::try_from(self.labels.len()) {
            Ok(id) if has_room => {
                self.bytes += label.len();
                self.labels.push(label.into());
                self.sorted.insert(place, id);
                id
            }
            _ => OTHER,
        }
    }

    /// The label with this number; empty if there is none.
    pub(super) fn label(&self, id: LabelId) -> &str {
        self.labels.get(usize::from(id)).map_or("", |label| label)
    }

    /// All labels that are not reserved, in the order of their numbers.
    pub(super) fn added(&self) -> &[Rc<str>] {
        self.labels.get(RESERVED..).unwrap_or_default()
    }
}

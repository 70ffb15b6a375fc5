//! What requests use: what is known before the answer, and what counts of the usage that an answer
//! reports.

use super::isolate_memory::Isolate;
use super::platform::Platform;
use super::receive::Inbound;
use crate::routes::graph::{Params, Settings, StreamUsage};
use crate::usage::basis::UsageBasis;
use crate::usage::reported::Reported;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::usage::Usage;

/// How many responses of the background are remembered.
const MOST_COUNTED: usize = 1024;

/// What a request says about its usage.
pub fn basis<P: Platform>(platform: &P, inbound: &Inbound) -> UsageBasis {
    basis_of(inbound, &|start, end| platform.body_part(start, end))
}

/// The same. `part`: the bytes between two offsets of the body.
pub(super) fn basis_of(inbound: &Inbound, part: &dyn Fn(usize, usize) -> Vec<u8>) -> UsageBasis {
    let operation = inbound.facts.operation;
    let field = |name: &str| inbound.body.fields(&[name.to_owned()], part).remove(name);
    UsageBasis {
        operation,
        input_tokens: inbound.facts.input_tokens,
        characters: match operation {
            Operation::AudioSpeech => {
                let input = field("input");
                input.as_ref().and_then(|text| text.as_str()).map_or(0, |text| text.chars().count() as u64)
            }
            _ => 0,
        },
        images: match operation {
            Operation::ImagesGenerations | Operation::ImagesEdits | Operation::ImagesVariations => {
                let in_json = || field("n").and_then(|count| count.as_u64());
                inbound.body.count_in_form().or_else(in_json).unwrap_or(1)
            }
            _ => 0,
        },
        is_background: inbound.body.json().is_some_and(|peek| peek.is_background),
    }
}

/// Whether the gateway asks a deployment for the usage of a stream whose client did not ask for it.
/// Then the chunk with the usage is withheld. A deployment whose `params` name `stream_options` is
/// not asked: its server may refuse them.
pub fn asks_for_usage(settings: &Settings, inbound: &Inbound, params: &Params) -> bool {
    settings.usage == StreamUsage::Exact
        && inbound.facts.is_streamed
        && matches!(inbound.facts.operation, Operation::ChatCompletions | Operation::Completions)
        && !params.names("stream_options")
        && inbound.body.can_ask_for_usage()
}

impl Isolate {
    /// The usage that counts of what an answer reports. A response that was created in the
    /// background reports the same usage whenever it is read; this isolate counts it once.
    pub fn counted(&self, reported: Reported) -> Usage {
        let Some(response) = reported.background else { return reported.usage };
        let mut counted = self.counted.borrow_mut();
        if counted.contains(&response) {
            return Usage::default();
        }
        if counted.len() == MOST_COUNTED {
            counted.pop_front();
        }
        counted.push_back(response);
        reported.usage
    }
}

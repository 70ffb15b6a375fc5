//! The alert about a limit of a day or a month that is nearly or wholly spent.

use super::meter::{Meter, Threshold};
use crate::alerting::alert::Alert;
use crate::scan::json_value::json;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::limit::Period;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::rng::stable_hash;
use crate::vocabulary::time::Instant;

/// The alert about a meter of this client, or of the gateway, that has reached a threshold.
///
/// Not inlined: this is rare.
#[inline(never)]
pub(super) fn budget_alert(
    client: Option<&str>,
    name: &str,
    meter: &Meter,
    threshold: Threshold,
    now: Instant,
) -> Alert {
    let (rate, spent) = (meter.rate(), meter.spent());
    let percent = threshold.percent();
    let share = u128::from(spent) * 100 / u128::from(rate.amount.max(1));
    let resets_at = rate.per.and_then(|per| per.end(now)).unwrap_or(now).utc().to_string();
    let whose = client.map_or_else(|| "the gateway".to_owned(), |client| format!("the client {client}"));
    let limit = format!("of its limit of {} ({name})", rate.in_words());
    let message = match threshold {
        Threshold::Nearly => format!("{whose} has used {share} % {limit}, which begins anew at {resets_at}"),
        Threshold::Whole if spent >= rate.amount => {
            format!("{whose} has used all {limit}: its requests are refused until {resets_at}")
        }
        Threshold::Whole => format!(
            "{whose} has used {share} % {limit}, and the rest is too little for a request: such requests are refused \
             until {resets_at}"
        ),
    };
    let data = format!(
        r#""client":{},"meter":{},"unit":{},"amount":{},"per":"{}","spent":{spent},"share":{share},"threshold":{percent},"resets_at":"{resets_at}""#,
        client.map_or_else(|| "null".to_owned(), json),
        json(name),
        json(&rate.unit),
        rate.amount,
        rate.per.map_or("", Period::name),
    );
    // The same alert has the same id, also if the ledger was evicted before it was stored.
    let id = stable_hash(format!("{whose} {name} {percent} {} {resets_at}", rate.amount).as_bytes());
    Alert::new(PeerId(id).to_string(), AlertKind::Budget, now, &message, &data)
}

//! Answers in one piece and streams: the times of one kind decide nothing about the other.

use super::fake::{Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, LAST, STREAM, routes};
use crate::times::ms;
use switchyard::vocabulary::time::Millis;

/// An answer to the chat request of this kind, which takes so long.
fn script(body: &str, after: Millis) -> Script {
    let script = match body {
        STREAM => Script::events(vec![Step::Bytes(FIRST.to_owned() + LAST)]),
        _ => Script::json(200, ANSWER),
    };
    Script { head_after: Some(after), ..script }
}

fn serve(bench: &mut Bench, body: &str, after: Millis) {
    bench.script([script(body, after)]);
    let (answer, took) = bench.chats_at_once(1, body).remove(0);
    assert_eq!((answer.status, took), (200, after));
}

#[test]
fn each_kind_of_answer_is_hedged_after_its_own_usual_time() {
    for (slow, quick) in [(CHAT, STREAM), (STREAM, CHAT)] {
        let mut bench = Bench::started(&routes("", r#", "hedge": {"after": "p95", "max_share": 1}"#));
        for _ in 0..20 {
            serve(&mut bench, slow, ms(3_000));
        }
        // The other kind has no usual time yet, so it is not hedged.
        serve(&mut bench, quick, ms(20_000));
        for _ in 1..64 {
            serve(&mut bench, quick, ms(100));
        }
        for (body, usual) in [(quick, ms(100)), (slow, ms(3_000))] {
            bench.script([Script::silence(), script(body, ms(10))]);
            let (answer, took) = bench.chats_at_once(1, body).remove(0);
            assert_eq!((answer.status, took), (200, usual + ms(10)), "{body}");
        }
    }
}

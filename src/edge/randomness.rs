//! The only module that creates randomness: from the secure source of the runtime
//! (<https://developers.cloudflare.com/workers/runtime-apis/web-crypto/>).

use worker::wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill(bytes: &mut [u8]);
}

/// Random bytes, as a seed for a generator. This is a call of the host, so it is made once for each
/// generator.
pub fn seed<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    fill(&mut bytes);
    bytes
}

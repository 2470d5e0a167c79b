//! Randomness from the platform's cryptographic source.

use firkin_core::effects::Random;
use wasm_bindgen::prelude::wasm_bindgen;

/// `crypto.getRandomValues` fills no more at once.
const FILL_BYTES_MAX: usize = 65_536;

#[wasm_bindgen]
extern "C" {
    // Throws for longer arrays only, so there is no error to catch.
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// `crypto.getRandomValues`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CryptoRandom;

impl Random for CryptoRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(FILL_BYTES_MAX) {
            get_random_values(part);
        }
    }
}

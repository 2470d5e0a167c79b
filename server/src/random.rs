//! Randomness from the operating system.

use firkin_core::effects::Random;

/// The operating system's source of random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            // Identities and session tokens made without randomness would be wrong in silence.
            eprintln!("firkin-server: the system gives no random bytes: {error}");
            std::process::abort();
        }
    }
}

/// 128 random bits as 32 lower-case hex digits, as CouchDB writes its ids.
#[must_use]
pub fn random_id() -> String {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

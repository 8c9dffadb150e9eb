//! The checksums that a score can name.

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// A checksum that is being computed.
pub(super) enum Digest {
    Sha256(Sha256),
    Md5(Md5),
}

impl Digest {
    /// `md5`, else SHA-256, as the score language has them.
    pub(super) fn new(algorithm: &str) -> Self {
        match algorithm {
            "md5" => Self::Md5(Md5::new()),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(digest) => digest.update(bytes),
            Self::Md5(digest) => digest.update(bytes),
        }
    }

    /// In lower case.
    pub(super) fn hex(self) -> String {
        fn hex(bytes: &[u8]) -> String {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        match self {
            Self::Sha256(digest) => hex(&digest.finalize()),
            Self::Md5(digest) => hex(&digest.finalize()),
        }
    }
}

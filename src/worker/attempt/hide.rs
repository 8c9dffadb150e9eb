//! `redact_logs`: credentials in the kept output of an attempt are hidden after its end.
//!
//! While a program runs its output is written as it comes, readable by its owner only; when it is over the files
//! are replaced. A file that holds no credential stays as it is, byte for byte.

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::util::redact;

/// So much is looked at at once.
const PIECE: usize = 1 << 20;
/// What begins a key that goes over many lines.
const KEY: &[u8] = b"-----BEGIN";
/// A key that is longer is none.
const LONGEST: usize = 64 << 10;

/// Hides credentials in a file. One that is not there needs nothing.
pub(super) fn credentials(path: &Path) -> io::Result<()> {
    let mut from = match crate::file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let copy = path.with_extension("redacted");
    let result = write_copy(&mut from, &copy);
    match result {
        Ok(true) => fs::rename(&copy, path),
        other => {
            // Left behind it would be a second copy of the output.
            _ = fs::remove_file(&copy);
            other.map(drop)
        }
    }
}

/// Writes the file without its credentials; false when it holds none.
fn write_copy(from: &mut impl Read, copy: &Path) -> io::Result<bool> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(copy)?;
    let mut to = BufWriter::new(file);
    let (mut held, mut changed) = (Vec::new(), false);
    loop {
        let before = held.len();
        from.by_ref().take(PIECE as u64).read_to_end(&mut held)?;
        let over = held.len() == before;
        let cut = if over { held.len() } else { safe_end(&held) };
        changed |= put(&mut to, &held[..cut])?;
        held.drain(..cut);
        if over {
            to.flush()?;
            return Ok(changed);
        }
    }
}

/// Writes a piece; says whether something was hidden in it. What is not text is kept as it is.
fn put(to: &mut impl Write, piece: &[u8]) -> io::Result<bool> {
    let mut changed = false;
    for chunk in piece.utf8_chunks() {
        let clean = redact(chunk.valid());
        changed |= clean != chunk.valid();
        to.write_all(clean.as_bytes())?;
        to.write_all(chunk.invalid())?;
    }
    Ok(changed)
}

/// Where a piece can be cut so that no credential is: after a line, and before a key that has not ended.
fn safe_end(held: &[u8]) -> usize {
    let line = memchr::memrchr(b'\n', held).map_or(0, |at| at + 1);
    let open = memchr::memmem::rfind(&held[..line], KEY)
        .filter(|at| memchr::memmem::find(&held[*at..line], b"-----END").is_none())
        .filter(|at| held.len() - at < LONGEST);
    let end = open.unwrap_or(line);
    // A line without an end: no credential is so long that the last part of it could matter.
    if end == 0 && held.len() > 4 * PIECE { held.len() - LONGEST } else { end }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hidden(bytes: &[u8]) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("stdout.log");
        fs::write(&path, bytes).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its owner");
        credentials(&path).expect("readable");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
        fs::read(&path).expect("readable")
    }

    #[test]
    fn credentials_are_hidden_wherever_the_pieces_end() {
        let key = b"sk-ant-api03-abcdefghijkl\n";
        let mut text = vec![b'x'; PIECE - 10];
        text[PIECE - 20] = b'\n';
        text[PIECE - 11] = b' ';
        text.extend(key);
        let clean = String::from_utf8(hidden(&text)).expect("text");
        assert!(clean.ends_with("[REDACTED_ANTHROPIC_KEY]\n"), "{:?}", &clean[clean.len() - 60..]);
        let mut block = vec![b'y'; PIECE - 30];
        block.extend(b"\n-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nafter\n");
        let clean = String::from_utf8(hidden(&block)).expect("text");
        assert!(clean.contains("[REDACTED_PRIVATE_KEY]") && clean.ends_with("after\n"));
        assert!(!clean.contains("abc"));
    }

    #[test]
    fn what_holds_none_stays_as_it_is() {
        let bytes = b"\xff\xfe no key \x00 here\nlast".to_vec();
        assert_eq!(hidden(&bytes), bytes);
        let long = vec![b'z'; 6 * PIECE];
        assert_eq!(hidden(&long), long);
        credentials(Path::new("/does/not/exist")).expect("nothing to hide");
    }
}

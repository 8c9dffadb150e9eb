//! Moving one entry: by a rename, and across file systems by copying and deleting.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Moves a file, link or directory. When it fails halfway the original is whole.
pub(super) fn transfer(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => across(from, to),
        other => other,
    }
}

fn across(from: &Path, to: &Path) -> io::Result<()> {
    if let Err(error) = copy(from, to) {
        // The copy is incomplete and the original is not touched.
        _ = delete(to);
        return Err(error);
    }
    delete(from)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let data = from.symlink_metadata()?;
    let kind = data.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if kind.is_file() {
        let copied = fs::copy(from, to)?;
        if copied != data.len() {
            let why = format!("{copied} of {} bytes were copied: it changes at this moment", data.len());
            return Err(io::Error::other(why));
        }
        let times = fs::FileTimes::new().set_modified(data.modified()?);
        // A file that may not be written cannot get its time back, which is no loss.
        _ = fs::File::options().write(true).open(to).and_then(|file| file.set_times(times));
        return Ok(());
    }
    if !kind.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "it is neither a file nor a directory, and the archive is on another file system",
        ));
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    // Last: a directory that may not be written could not be filled.
    fs::set_permissions(to, data.permissions())
}

fn delete(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn across_file_systems_everything_arrives_and_the_original_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/run.sh"), "true").unwrap();
        fs::set_permissions(from.join("deep/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("deep/run.sh", from.join("link")).unwrap();
        across(&from, &to).unwrap();
        assert!(!from.exists());
        assert_eq!(fs::read_to_string(to.join("deep/run.sh")).unwrap(), "true");
        assert_eq!(fs::metadata(to.join("deep/run.sh")).unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("deep/run.sh"));
    }

    #[test]
    fn what_cannot_be_copied_leaves_the_original_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::write(from.join("a"), "a").unwrap();
        nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(across(&from, &to).is_err());
        assert!(from.join("a").exists() && from.join("pipe").exists());
        assert!(!to.exists());
    }
}

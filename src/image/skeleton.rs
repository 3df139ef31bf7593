//! What a program needs around it where no base image brings it: certificates, names of users, a folder for the moment.

use std::path::{Path, PathBuf};

use super::layer::{Content, Layer};
use crate::report::Report;

/// Where systems keep the certificates they trust: Debian and Alpine, Fedora, openSUSE, macOS.
const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Nobody in particular: the number that distroless images made usual.
pub(super) const USER: &str = "65532:65532";

/// The layer below the program. `user` is as in the image's configuration.
pub(super) fn layer(user: &str, report: &dyn Report) -> Layer {
    let mut layer = Layer::new("certificates, users and /tmp");
    match CERTIFICATES.iter().map(Path::new).find(|path| path.is_file()) {
        Some(path) => {
            let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
            layer.add("etc/ssl/certs/ca-certificates.crt", 0o644, Content::File(path));
        }
        None => {
            report.warning("this machine has no certificates of authorities: the image will trust no TLS server");
            report.hint("Install them and build again: apt-get install ca-certificates");
        }
    }
    let (user, group) = user.split_once(':').unwrap_or((user, user));
    let mut passwd = String::from("root:x:0:0:root:/root:/sbin/nologin\n");
    let mut groups = String::from("root:x:0:\n");
    if user != "0" {
        passwd = format!("{passwd}nonroot:x:{user}:{group}:nonroot:/:/sbin/nologin\n");
    }
    if group != "0" {
        groups = format!("{groups}nonroot:x:{group}:\n");
    }
    layer.add("etc/passwd", 0o644, Content::Bytes(passwd.into_bytes()));
    layer.add("etc/group", 0o644, Content::Bytes(groups.into_bytes()));
    layer.add("etc/nsswitch.conf", 0o644, Content::Bytes(b"hosts: files dns\n".to_vec()));
    layer.add("tmp", 0o1777, Content::Folder);
    layer
}

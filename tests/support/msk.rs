//! What makes a broker sign its clients in as Amazon MSK does by IAM: TLS, and a token that the broker itself verifies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::aws::REGION;

pub const KEY: &str = "AKIDMSK";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+never-to-be-seen";
pub const SESSION: &str = "FwoGZXIvYXdzEBYaDH/abc+def==";
/// How long the broker takes a token for.
pub const SECONDS: u64 = 12;

/// Variables of the broker's process.
pub fn variables() -> Vec<(&'static str, String)> {
    let all = [("MSK_KEY", KEY), ("MSK_SECRET", SECRET), ("MSK_SESSION", SESSION), ("MSK_REGION", REGION)];
    let mut all: Vec<_> = all.map(|(name, value)| (name, value.to_owned())).into();
    all.push(("MSK_SECONDS", SECONDS.to_string()));
    all
}

/// The listener's settings, for a broker in this folder.
pub fn settings(folder: &Path, class_path: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/MskTokens.java");
    fs::create_dir(classes(folder)).unwrap();
    run(folder, &["javac", "-cp", class_path, "-d", classes(folder).to_str().unwrap(), source.to_str().unwrap()]);
    let store = ["-keystore", "msk.p12", "-storepass", "changeit", "-alias", "broker"];
    let make = ["keytool", "-genkeypair", "-storetype", "PKCS12", "-keyalg", "EC", "-dname", "CN=127.0.0.1"];
    run(folder, &[&make[..], &["-ext", "san=ip:127.0.0.1", "-validity", "2"], &store].concat());
    run(folder, &[&["keytool", "-exportcert", "-rfc", "-file", "msk.pem"], &store[..]].concat());
    let keystore = folder.join("msk.p12").display().to_string();
    format!(
        "sasl.enabled.mechanisms=OAUTHBEARER\nlistener.name.sasl_ssl.ssl.keystore.type=PKCS12\n\
         listener.name.sasl_ssl.ssl.keystore.location={keystore}\n\
         listener.name.sasl_ssl.ssl.keystore.password=changeit\n\
         listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
         org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;\n\
         listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class=MskTokens\n"
    )
}

/// Where the compiled part of the broker is.
pub fn classes(folder: &Path) -> PathBuf {
    folder.join("classes")
}

/// The certificate that the listener shows.
pub fn certificate(folder: &Path) -> PathBuf {
    folder.join("msk.pem")
}

fn run(folder: &Path, command: &[&str]) {
    let ran = Command::new(command[0]).args(&command[1..]).current_dir(folder).output();
    let ran = ran.unwrap_or_else(|error| panic!("{} is installed: `make setup-tests`: {error}", command[0]));
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

//! A registry elsewhere: TLS, through a proxy.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::support::{Project, Registry, SHOP, err, openssl, text};
use crate::support::process::folder;

/// A proxy for HTTPS that finds every host at one address of this machine; gives its address and what was asked for.
fn tunnel(to: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, to) = (Arc::new(Mutex::new(Vec::new())), to.to_owned());
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            log.lock().unwrap().push(line.trim().to_owned());
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).unwrap();
            }
            let (mut client, mut server) = (client, TcpStream::connect(&to).unwrap());
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut forth, &mut server));
            // Either side may hang up first.
            std::thread::spawn(move || std::io::copy(&mut back, &mut client));
        }
    });
    (address, asked)
}

#[test]
fn a_registry_elsewhere_is_reached_by_tls_and_through_a_proxy() {
    let certificates = folder();
    for words in [
        "req -x509 -newkey rsa:2048 -nodes -keyout authority.key -out authority.pem -days 2 -subj /CN=tests",
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=registry.test \
         -addext subjectAltName=DNS:registry.test -addext basicConstraints=critical,CA:FALSE \
         -CA authority.pem -CAkey authority.key",
    ] {
        openssl(certificates.path(), &words.split_whitespace().collect::<Vec<_>>(), b"");
    }
    let path = certificates.path().display();
    let registry = Registry::with(&format!("  tls: {{certificate: '{path}/cert.pem', key: '{path}/key.pem'}}\n"));
    let (proxy, asked) = tunnel(&registry.host);

    let project = Project::new(SHOP);
    let push = |trusted: bool| {
        let mut command = project.command(&["push", "shop", "--registry", "registry.test", "--output", "json"]);
        command.env("HTTPS_PROXY", &proxy).env_remove("https_proxy").env_remove("NO_PROXY").env_remove("no_proxy");
        if trusted {
            command.env("SSL_CERT_FILE", certificates.path().join("authority.pem"));
        }
        command.output().unwrap()
    };
    let output = push(false);
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    assert!(
        err(&output).to_lowercase().contains("certificate") && err(&output).contains("SSL_CERT_FILE"),
        "{}",
        err(&output)
    );
    let output = push(true);
    assert!(output.status.success(), "{}", err(&output));
    let pushed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(text(&pushed[0]["image"]).starts_with("registry.test/cinema/shop@sha256:"), "{pushed}");
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|line| line == "CONNECT registry.test:443 HTTP/1.1"), "{asked:?}");
}

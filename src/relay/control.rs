//! Controls a relay from other processes, over a Unix socket that only its owner may use. A client sends one command a
//! line, as JSON, and receives one line for each: the [`RelayState`] after the command, or `{"error": "…"}`.
use super::{
    ACCEPT_RETRY_INTERVAL, Relay,
    protocol::{Command, RelayState},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Reply {
    State(RelayState),
    Error { error: String },
}

/// The control socket of a relay. Its file is removed on drop.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Creates the socket. Replaces one that a killed process left behind.
    pub async fn bind(path: &Path) -> io::Result<ControlSocket> {
        if let Ok(found) = fs::symlink_metadata(path) {
            let in_use = |why: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            if !found.file_type().is_socket() {
                return in_use("a file of this name exists");
            }
            if UnixStream::connect(path).await.is_ok() {
                return in_use("another relay uses it");
            }
            fs::remove_file(path)?;
        }
        let socket = ControlSocket { listener: UnixListener::bind(path)?, path: path.to_path_buf() };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(socket)
    }

    /// Executes the commands of all clients until it is dropped, and passes each that changes something to `changed`.
    pub async fn serve(self, relay: Arc<Relay>, changed: fn(Command, &RelayState)) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve_client(stream, relay.clone(), changed))),
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await,
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve_client(stream: UnixStream, relay: Arc<Relay>, changed: fn(Command, &RelayState)) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let reply = match serde_json::from_str::<Command>(&line) {
            Ok(command) => {
                let state = relay.execute(command);
                if command != (Command::State {}) {
                    changed(command, &state);
                }
                Reply::State(state)
            }
            Err(e) => Reply::Error { error: format!("invalid command: {e}") },
        };
        write.write_all(format!("{}\n", serde_json::to_string(&reply)?).as_bytes()).await?;
    }
    Ok(())
}

/// Sends a command to the relay behind a control socket. The error says what is wrong, in a sentence.
pub async fn send(socket: &Path, command: Command) -> Result<RelayState, String> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => "the socket does not exist".to_string(),
            io::ErrorKind::ConnectionRefused => "the relay has ended".to_string(),
            _ => e.to_string(),
        })?;
        let line = serde_json::to_string(&command).map_err(|e| e.to_string())?;
        stream.write_all(format!("{line}\n").as_bytes()).await.map_err(|e| e.to_string())?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).await.map_err(|e| e.to_string())?;
        match serde_json::from_str(&reply) {
            Ok(Reply::State(state)) => Ok(state),
            Ok(Reply::Error { error }) => Err(error),
            Err(_) => Err(format!("expected the state of a relay, found `{}`", reply.trim_end())),
        }
    };
    let timed_out = |_| Err(format!("no response within {RESPONSE_TIMEOUT:?}"));
    tokio::time::timeout(RESPONSE_TIMEOUT, exchange).await.unwrap_or_else(timed_out)
}

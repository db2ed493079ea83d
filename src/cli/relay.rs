//! `relay`: runs a relay as a process of its own, or controls one that is running.
use super::{
    args::{self, RelayAction},
    exit,
    failure::Failure,
    print,
    relays::describe_fault,
    signals::Signals,
};
use crate::{
    relay::{
        Command, FaultMode, Relay, RelayState,
        control::{ControlSocket, send},
    },
    report::wording::count,
};
use std::{net::SocketAddr, path::Path, sync::Arc};

pub async fn command(args: args::Relay) -> Result<u8, Failure> {
    let args::Relay { action, fault, listen, upstream, control } = args;
    let command = match action {
        None => {
            let (Some(listen), Some(upstream)) = (listen, upstream) else {
                return Err(Failure::usage("error: expected `--listen` and `--upstream`"));
            };
            return serve(listen, &upstream, &control).await;
        }
        Some(RelayAction::State) => Command::State {},
        Some(RelayAction::Break) => Command::Break { fault: fault.unwrap_or(FaultMode::Cut) },
        Some(RelayAction::Heal) => Command::Heal { fault },
    };
    let state = send(&control, command).await.map_err(|e| {
        Failure::unreachable(format!(
            "error: no relay at the control socket `{}`: {e}\nhelp: start it with `tp-runner relay --listen ADDRESS --upstream \
             ADDRESS --control {}`",
            control.display(),
            control.display()
        ))
    })?;
    print::out(format_args!("{}", describe(&state)));
    Ok(exit::SUCCESS)
}

async fn serve(listen: SocketAddr, upstream: &str, control: &Path) -> Result<u8, Failure> {
    // Installed before the socket exists: a signal must not leave it behind.
    let mut signals = Signals::install()?;
    let failed =
        |what: String, e: std::io::Error| Failure::unreachable(format!("error: cannot listen on `{what}`: {e}"));
    if upstream.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
        return Err(Failure::usage(format!("error: expected `--upstream HOST:PORT`, found `--upstream {upstream}`")));
    }
    let socket = ControlSocket::bind(control).await.map_err(|e| failed(control.display().to_string(), e))?;
    let relay = Relay::bind(listen).await.map_err(|e| failed(listen.to_string(), e))?;
    relay.set_upstream(upstream);
    let relay = Arc::new(relay);
    print::out(format_args!(
        "relay {} to {upstream}, control socket {}\nCtrl-C stops the relay\n",
        relay.address(),
        control.display()
    ));
    tokio::select! {
        () = signals.recv() => {}
        () = socket.serve(relay.clone(), log) => {}
    }
    Ok(exit::SUCCESS)
}

/// Prints a command that a client has sent.
fn log(command: Command, state: &RelayState) {
    let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
    match command {
        Command::State {} => {}
        Command::Break { fault } => print::out(format_args!("{now} break {fault}\n")),
        Command::Heal { fault } => {
            let healed = state.faults.iter().filter(|f| fault.is_none_or(|only| only == f.fault));
            let counts: Vec<String> =
                healed.map(|f| format!("{} affected {}", f.fault, count(f.refused as usize, "connection"))).collect();
            print::out(format_args!("{now} heal: {}\n", counts.join(", ")));
        }
    }
}

fn describe(state: &RelayState) -> String {
    let RelayState { listen, upstream, open, waiting, upstream_error, faults } = state;
    let mut text =
        format!("relay:       {listen} to {upstream}\nconnections: {open} open, {waiting} waiting for the upstream\n");
    if let Some(error) = upstream_error {
        text.push_str(&format!("upstream:    the last connection failed: {error}\n"));
    }
    if faults.is_empty() {
        text.push_str("faults:      none\n");
    }
    for fault in faults {
        text.push_str(&format!("fault:       {}\n", describe_fault(fault)));
    }
    text
}

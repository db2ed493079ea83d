//! `man`: the manual page of the program, or all of them in a folder.
use super::{args, exit, failure::Failure, print};
use crate::file;
use clap_mangen::Man;
use std::{io, path::Path};

pub fn print_or_write(args: args::Man, mut command: clap::Command) -> Result<u8, Failure> {
    command.build();
    match args.folder {
        None => {
            let page = page(command).map_err(|e| Failure::usage(format!("error: cannot write the page: {e}")))?;
            print::out(format_args!("{page}"));
        }
        Some(folder) => {
            std::fs::create_dir_all(&folder).map_err(|e| Failure::not_written(&folder, &e))?;
            write_all(&command, "tp-runner", &folder)?;
        }
    }
    Ok(exit::SUCCESS)
}

/// The page of a command and those of its subcommands: `tp-runner-run.1`.
fn write_all(command: &clap::Command, name: &str, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    let text = page(command.clone().name(name.to_string()).display_name(name.to_string()));
    let written = text.and_then(|text| file::replace(&path, text.as_bytes()));
    written.map_err(|e| Failure::not_written(&path, &e))?;
    for inner in command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        write_all(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: clap::Command) -> io::Result<String> {
    let mut page = vec![];
    Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

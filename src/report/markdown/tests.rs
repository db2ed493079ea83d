//! What the report says, and that nothing from the world can break it.
use crate::report::samples;

#[test]
fn show() {
    println!("{}\n=======\n{}", samples::green().markdown(), samples::mixed().markdown());
}

#[test]
fn show_summary() {
    let look = crate::report::console::Look { colour: false, width: Some(100), reports: vec!["tests/reports/r.md".into()] };
    println!("{}\n======\n{}", crate::report::console::summary(&samples::green().index(), &look), crate::report::console::summary(&samples::mixed().index(), &look));
    let out: Vec<u8> = vec![];
    let _ = out;
    use crate::event::EventSink;
    let mut c = crate::report::console::Console::lines(Box::new(std::io::stdout()), crate::report::console::Detail::Actions, false);
    for e in samples::mixed().events { c.on_event(&e, "").unwrap(); }
}

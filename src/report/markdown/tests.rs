//! What the report says, and that nothing from the world can break it.
use crate::report::samples;

#[test]
fn show() {
    println!("{}\n=======\n{}", samples::green().markdown(), samples::mixed().markdown());
}

//! Draws the running cases on a terminal, below the lines that were printed.
use super::{
    board::{overall, rows},
    layout::columns,
    state::RunState,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

const BAR_COLUMNS: usize = 10;

pub struct Live {
    multi: MultiProgress,
    overall: ProgressBar,
    rows: Vec<ProgressBar>,
    shown: Vec<String>,
}

impl Live {
    pub fn new(target: ProgressDrawTarget) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let overall = multi.add(ProgressBar::new(0));
        overall.set_style(style("{prefix} {bar:10} {wide_msg}").progress_chars("━╸ "));
        Live { multi, overall, rows: vec![], shown: vec![] }
    }

    /// Prints lines above the running cases.
    pub fn print(&self, lines: &[String]) {
        let _ = self.multi.println(lines.join("\n"));
    }

    /// Draws what has changed.
    pub fn draw(&mut self, state: &RunState, now: Timestamp, width: usize) {
        let head = state.plan.clone();
        let mut lines = rows(state, now, width);
        lines.push(overall(state, now, width.saturating_sub(columns(&head) + BAR_COLUMNS + 2)));
        if lines == self.shown {
            return;
        }
        while self.rows.len() + 1 > lines.len() {
            self.rows.pop().into_iter().for_each(|row| self.multi.remove(&row));
        }
        while self.rows.len() + 1 < lines.len() {
            let row = self.multi.insert_before(&self.overall, ProgressBar::new_spinner());
            row.set_style(style("{wide_msg}"));
            self.rows.push(row);
        }
        self.overall.set_length(state.total as u64);
        self.overall.set_prefix(head);
        self.overall.set_position(state.ended as u64);
        for (bar, line) in self.rows.iter().chain([&self.overall]).zip(&lines) {
            bar.set_message(line.clone());
        }
        self.shown = lines;
    }

    /// Removes the running cases.
    pub fn clear(&mut self) {
        self.rows.drain(..).for_each(|row| self.multi.remove(&row));
        self.overall.finish_and_clear();
        let _ = self.multi.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

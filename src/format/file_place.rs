//! A place in a file.

/// Where in a file something stands: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePlace {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Default for FilePlace {
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

impl From<usize> for FilePlace {
    fn from(line: usize) -> Self {
        Self { line, column: 1 }
    }
}

impl From<(usize, usize)> for FilePlace {
    fn from((line, column): (usize, usize)) -> Self {
        Self { line, column }
    }
}

//! A place in a file.

/// A place in a file: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FilePlace {
    pub(crate) line: usize,
    pub(crate) column: usize,
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

//! Why a text is not JSON that Firkin takes.

use alloc::string::String;

/// Why a text is not JSON that Firkin takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// It ends before its value does.
    #[error("the text ends too early")]
    CutShort,
    /// Something else should stand there.
    #[error("something else is expected at byte {0}")]
    Unexpected(usize),
    /// Arrays and objects are nested deeper than [`DEPTH_MAX`](super::DEPTH_MAX).
    #[error("values are nested too deep at byte {0}")]
    TooDeep(usize),
    /// No double holds the number.
    #[error("the number before byte {0} is too great")]
    NumberTooGreat(usize),
    /// Half of a surrogate pair stands alone: no UTF-8 says that.
    #[error("half of a surrogate pair stands alone before byte {0}")]
    LoneSurrogate(usize),
    /// Two members of one object have this name.
    #[error("the name {0:?} occurs twice in one object")]
    Repeated(String),
    /// A member that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
}

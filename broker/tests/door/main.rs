//! The door as clients see it, over real sockets.

mod attacks;
mod delivery;
mod entrance;
mod life;
mod presence;
mod rights;
mod support;

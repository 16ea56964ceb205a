//! What makes the rings of this kernel fast, or not: the engine works without.

use offhook_uring::Ring;

/// A part that newer kernels have, and what it means that it is there or is not.
pub(crate) struct Part {
    pub(crate) is_there: bool,
    pub(crate) text: &'static str,
}

/// Of a ring as it was made.
pub(crate) fn parts(ring: &Ring) -> [Part; 2] {
    let part = |is_there, with, without| Part { is_there, text: if is_there { with } else { without } };
    [
        part(
            ring.gathers(),
            "packets are gathered under load",
            "packets are not gathered under load before Linux 6.12: each costs more, and --min-wait-us has no effect",
        ),
        part(
            ring.defers(),
            "the rings' task work is deferred until it is due",
            "the rings' task work is not deferred before Linux 6.1: each packet costs more",
        ),
    ]
}

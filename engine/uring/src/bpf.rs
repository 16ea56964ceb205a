//! The few uses of the system call bpf(2) that steering and forwarding need.

use std::ffi::c_long;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::{io, ptr, thread};

/// One instruction as the kernel takes it (RFC 9669, section 3).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) opcode: u8,
    /// Source in the upper half, destination in the lower: as little-endian C lays the bit fields out.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

/// Opcode of a 64-bit load, which takes two instructions.
pub(crate) const LOAD_IMMEDIATE_64: u8 = 0x18;
/// Source "register" of such a load whose immediate is a map's descriptor (BPF_PSEUDO_MAP_FD).
pub(crate) const MAP_DESCRIPTOR: u8 = 1;

/// What a map is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MapKind {
    Hash = 1,
    /// Keys are numbers of 32 bits from 0.
    Array = 2,
    /// Keys are numbers of 32 bits from 0, values are sockets.
    Sockets = 15,
}

/// What is to be made.
#[derive(Debug)]
pub(crate) struct MapShape {
    pub(crate) kind: MapKind,
    pub(crate) key_bytes: u32,
    pub(crate) value_bytes: u32,
    pub(crate) entries: u32,
    /// [`MAPPABLE`] or 0.
    pub(crate) flags: u32,
    /// For those who look at the machine; at most 15 bytes.
    pub(crate) name: &'static str,
}

/// A map whose values can be mapped into memory (BPF_F_MMAPABLE).
pub(crate) const MAPPABLE: u32 = 1 << 10;

/// A map with nothing in it, or zeroes.
pub(crate) fn create_map(shape: &MapShape) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        kind: shape.kind as u32,
        key_bytes: shape.key_bytes,
        value_bytes: shape.value_bytes,
        entries: shape.entries,
        flags: shape.flags,
        name: name(shape.name),
        ..MapCreate::default()
    };
    // SAFETY: BPF_MAP_CREATE reads the attributes, which hold no pointer, and returns a descriptor.
    unsafe { open(MAP_CREATE, &attributes) }
}

/// Sets the value of a key; both must be as long as the map was made for.
pub(crate) fn update(map: &OwnedFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    let attributes = MapElement {
        map: map.as_raw_fd() as u32,
        padding: 0,
        key: key.as_ptr() as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: `key` and `value` have as many bytes as this crate's callers made the map's keys and values; both outlive the
    // call, and are only read.
    check(unsafe { call(MAP_UPDATE, &attributes) }).map(drop)
}

/// Takes a key out of a map of the kind hash; it must be as long as the map's keys.
pub(crate) fn delete(map: &OwnedFd, key: &[u8]) -> io::Result<()> {
    let attributes =
        MapElement { map: map.as_raw_fd() as u32, padding: 0, key: key.as_ptr() as u64, value: 0, flags: 0 };
    // SAFETY: `key` has as many bytes as this crate's callers made the map's keys, outlives the call, and is only read.
    check(unsafe { call(MAP_DELETE, &attributes) }).map(drop)
}

/// What a program is for, which is also where it is put to work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ProgramKind {
    /// Chooses sockets, for a network namespace (Linux 5.9).
    SocketLookup,
    /// Sees packets that come in by an interface (Linux 6.6).
    Ingress,
}

impl ProgramKind {
    /// `enum bpf_prog_type` and `enum bpf_attach_type` (linux/bpf.h).
    fn numbers(self) -> (u32, u32) {
        match self {
            Self::SocketLookup => (30, 36),
            Self::Ingress => (3, 46),
        }
    }
}

/// A program that the kernel has found safe to run.
///
/// The kernel breaks its proof off (`EAGAIN`) when the thread has other business, such as a signal; it is asked again then.
pub(crate) fn load(kind: ProgramKind, name_: &str, instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let (kind, attach) = kind.numbers();
    let attributes = ProgramLoad {
        kind,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        name: name(name_),
        expected_attach: attach,
        ..ProgramLoad::default()
    };
    again_when_interrupted(|| {
        // SAFETY: BPF_PROG_LOAD reads `instruction_count` instructions of eight bytes and the license up to its zero, all of
        // which outlive the call, writes to no log because none is named, and returns a descriptor.
        unsafe { open(PROGRAM_LOAD, &attributes) }
    })
}

/// What `load` comes to once nothing interrupts it; its last error, if something did each of [`LOAD_ATTEMPTS`] times.
fn again_when_interrupted<T>(mut load: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..LOAD_ATTEMPTS {
        match load() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            outcome => return outcome,
        }
    }
    load()
}

/// Puts a program to work, after others that are there, until the descriptor returned is closed. `target` is the descriptor of a
/// network namespace or the number of an interface, as the kind asks for.
pub(crate) fn attach(program: &OwnedFd, kind: ProgramKind, target: u32) -> io::Result<OwnedFd> {
    let attributes = LinkCreate {
        program: program.as_raw_fd() as u32,
        target,
        attach: kind.numbers().1,
        ..LinkCreate::default()
    };
    // SAFETY: BPF_LINK_CREATE reads the attributes, which hold no pointer, and returns a descriptor.
    unsafe { open(LINK_CREATE, &attributes) }
}

/// Whether a program of the kind [`Ingress`](ProgramKind::Ingress) still has its interface, which may have gone.
pub(crate) fn is_attached(link: &OwnedFd) -> io::Result<bool> {
    let mut info = LinkInfo::default();
    let mut attributes = ObjectInfo {
        object: link.as_raw_fd() as u32,
        info_bytes: size_of::<LinkInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    let address = &raw mut attributes;
    // SAFETY: BPF_OBJ_GET_INFO_BY_FD writes at most `info_bytes` at `info`, and how many into the attributes; both outlive the call.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, OBJECT_INFO, address, size_of::<ObjectInfo>()) };
    check(outcome)?;
    Ok(info.interface != 0)
}

/// What a program did to a packet that nobody sent.
#[cfg(test)]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) returned: i32,
    pub(crate) packet: Vec<u8>,
    pub(crate) context: Context,
}

/// What the kernel knows of a packet besides its bytes: `struct __sk_buff`, in words.
#[cfg(test)]
pub(crate) type Context = [u32; 48];

/// Places in it that a test may set, or look at.
#[cfg(test)]
pub(crate) const PRIORITY: usize = 8;
#[cfg(test)]
pub(crate) const GSO_SEGMENTS: usize = 41;
#[cfg(test)]
pub(crate) const GSO_BYTES: usize = 44;

/// Runs a program on a packet with its link header, as if it had come in by the loopback.
#[cfg(test)]
pub(crate) fn run(program: &OwnedFd, packet: &[u8], context: &Context) -> io::Result<Outcome> {
    let mut out = vec![0_u8; packet.len() + 64];
    let mut context_out = [0; size_of::<Context>() / size_of::<u32>()];
    let context_bytes = size_of::<Context>() as u32;
    let mut attributes = ProgramRun {
        program: program.as_raw_fd() as u32,
        returned: 0,
        in_bytes: packet.len() as u32,
        out_bytes: out.len() as u32,
        data_in: packet.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        context_in_bytes: context_bytes,
        context_out_bytes: context_bytes,
        context_in: context.as_ptr() as u64,
        context_out: context_out.as_mut_ptr() as u64,
        ..ProgramRun::default()
    };
    let address = &raw mut attributes;
    // SAFETY: BPF_PROG_TEST_RUN reads `in_bytes` at `data_in`, writes at most `out_bytes` at `data_out`, does the same with both
    // contexts, and answers in the attributes; all of it outlives the call.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, PROGRAM_RUN, address, size_of::<ProgramRun>()) };
    check(outcome)?;
    out.truncate(attributes.out_bytes as usize);
    Ok(Outcome { returned: attributes.returned as i32, packet: out, context: context_out })
}

/// What a map of sockets takes as a value.
pub(crate) fn descriptor(socket: impl AsFd) -> u64 {
    socket.as_fd().as_raw_fd() as u64
}

/// # Safety
///
/// As [`call`], and the command must return a new descriptor.
unsafe fn open<T>(command: c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: what the caller promises.
    let fd = check(unsafe { call(command, attributes) })?;
    // SAFETY: the kernel just opened it for this call, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// # Safety
///
/// `attributes` must be laid out as the command's part of `union bpf_attr` (linux/bpf.h), and whatever it points to must
/// outlive the call and be as long as the command takes it to be.
unsafe fn call<T>(command: c_long, attributes: &T) -> c_long {
    // SAFETY: what the caller promises; the kernel reads no more than the length given and takes the rest as zero.
    unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_ref(attributes), size_of::<T>()) }
}

fn check(outcome: c_long) -> io::Result<c_long> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}

fn name(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    assert!(text.len() < bytes.len(), "names have fewer than 16 bytes");
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// Beginnings of `union bpf_attr` (linux/bpf.h), by command.
#[repr(C)]
#[derive(Default)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    inner_map: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach: u32,
}

/// What follows in the kernel's own says before or after which other program.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach: u32,
    flags: u32,
}

#[repr(C)]
struct ObjectInfo {
    object: u32,
    info_bytes: u32,
    info: u64,
}

/// `struct bpf_link_info` of a link to an interface.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    number: u32,
    program: u32,
    padding: u32,
    /// 0 once that has gone.
    interface: u32,
    attach: u32,
    rest: [u64; 8],
}

#[cfg(test)]
#[repr(C)]
#[derive(Default)]
struct ProgramRun {
    program: u32,
    returned: u32,
    in_bytes: u32,
    out_bytes: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_bytes: u32,
    context_out_bytes: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    processor: u32,
    batch: u64,
}

const LOAD_ATTEMPTS: u32 = 10;
const MAP_CREATE: c_long = 0;
const MAP_UPDATE: c_long = 2;
const MAP_DELETE: c_long = 3;
const PROGRAM_LOAD: c_long = 5;
#[cfg(test)]
const PROGRAM_RUN: c_long = 10;
const OBJECT_INFO: c_long = 15;
const LINK_CREATE: c_long = 28;
/// None of the functions that the programs call is reserved to the GPL.
const LICENSE: &[u8] = b"MIT\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_is_interrupted_is_made_again_and_one_that_fails_is_not() {
        let mut errors = vec![libc::EAGAIN, libc::EAGAIN];
        let mut load = || errors.pop().map_or(Ok(7), |number| Err(io::Error::from_raw_os_error(number)));
        assert_eq!(again_when_interrupted(&mut load).unwrap(), 7);
        for (number, expected) in [(libc::EAGAIN, LOAD_ATTEMPTS), (libc::EPERM, 1)] {
            let mut made = 0;
            let error = again_when_interrupted(|| {
                made += 1;
                Err::<(), _>(io::Error::from_raw_os_error(number))
            });
            assert_eq!((error.unwrap_err().raw_os_error(), made), (Some(number), expected));
        }
    }
}

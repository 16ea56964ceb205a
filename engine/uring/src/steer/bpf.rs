//! The few uses of the system call bpf(2) that steering needs.

use super::program::Instruction;
use std::ffi::c_long;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::{io, ptr};

/// BPF_MAP_TYPE_ARRAY: keys are numbers from 0.
pub(super) const MAP_ARRAY: u32 = 2;
/// BPF_MAP_TYPE_SOCKMAP: values are sockets.
pub(super) const MAP_SOCKETS: u32 = 15;

/// A map with 32-bit keys.
pub(super) fn create_map(kind: u32, value_bytes: u32, entries: u32) -> io::Result<OwnedFd> {
    let attributes = MapCreate { kind, key_bytes: 4, value_bytes, entries, flags: 0 };
    // SAFETY: BPF_MAP_CREATE reads the attributes, which hold no pointer, and returns a descriptor.
    unsafe { open(MAP_CREATE, &attributes) }
}

/// Sets the value of a key, which must be as long as the map's values.
pub(super) fn update(map: &OwnedFd, key: u32, value: &[u8]) -> io::Result<()> {
    let attributes = MapUpdate {
        map: map.as_raw_fd() as u32,
        padding: 0,
        key: ptr::from_ref(&key) as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: `key` has the four bytes of every key of `create_map`'s, and `value` as many as this module's callers made
    // the map's values; both outlive the call, and are only read.
    check(unsafe { call(MAP_UPDATE, &attributes) }).map(drop)
}

/// A program of the kind `sk_lookup`.
pub(super) fn load_lookup(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let attributes = ProgramLoad {
        kind: PROGRAM_SK_LOOKUP,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        expected_attach: ATTACH_SK_LOOKUP,
        ..ProgramLoad::default()
    };
    // SAFETY: BPF_PROG_LOAD reads `instruction_count` instructions of eight bytes and the license up to its zero, all of
    // which outlive the call, writes to no log because none is named, and returns a descriptor.
    unsafe { open(PROGRAM_LOAD, &attributes) }
}

/// Puts a program to work in this process's network namespace, until the descriptor returned is closed.
pub(super) fn attach_lookup(program: &OwnedFd) -> io::Result<OwnedFd> {
    let namespace = File::open("/proc/self/ns/net")?;
    let attributes = LinkCreate {
        program: program.as_raw_fd() as u32,
        target: namespace.as_raw_fd() as u32,
        attach: ATTACH_SK_LOOKUP,
        flags: 0,
    };
    // SAFETY: BPF_LINK_CREATE reads the attributes, which hold no pointer, and returns a descriptor.
    unsafe { open(LINK_CREATE, &attributes) }
}

/// What a map of sockets takes as a value.
pub(super) fn descriptor(socket: impl AsFd) -> u64 {
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

/// Beginnings of `union bpf_attr` (linux/bpf.h), by command.
#[repr(C)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
struct MapUpdate {
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

#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach: u32,
    flags: u32,
}

const MAP_CREATE: c_long = 0;
const MAP_UPDATE: c_long = 2;
const PROGRAM_LOAD: c_long = 5;
const LINK_CREATE: c_long = 28;
const PROGRAM_SK_LOOKUP: u32 = 30;
const ATTACH_SK_LOOKUP: u32 = 36;
/// None of the functions that the program calls is reserved to the GPL.
const LICENSE: &[u8] = b"MIT\0";

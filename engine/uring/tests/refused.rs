//! What a machine that lacks io_uring, or parts of it, is told. Each case makes the kernel refuse one system call to
//! one thread, with a seccomp filter, as an old kernel or a container would.
#![allow(unsafe_code)]

use offhook_uring::{Ring, RingConfig, SetupError};
use std::thread;

#[test]
fn a_kernel_without_io_uring_is_told_what_it_needs() {
    let error = refused(Call::Setup, libc::ENOSYS);
    assert!(matches!(error, SetupError::Missing { .. }));
    assert!(error.to_string().contains("Linux 6.1 or newer"), "{error}");
}

#[test]
fn a_container_that_forbids_io_uring_is_told_which_calls_to_allow() {
    let error = refused(Call::Setup, libc::EPERM);
    assert!(error.to_string().contains("io_uring"), "{error}");
    assert!(matches!(error, SetupError::Forbidden | SetupError::Disabled { .. }));
}

#[test]
fn a_refusal_for_lack_of_memory_names_the_limit() {
    let error = refused(Call::Setup, libc::ENOMEM);
    assert!(error.to_string().contains("ulimit -l"), "{error}");
}

#[test]
fn no_flags_at_all_being_taken_is_an_old_kernel() {
    assert!(matches!(refused(Call::Setup, libc::EINVAL), SetupError::Unsupported { what: "io_uring", .. }));
}

#[test]
fn a_kernel_without_rings_of_provided_buffers_is_told_so() {
    let error = refused(Call::Register(REGISTER_PBUF_RING), libc::EINVAL);
    assert!(error.to_string().contains("lacks rings of provided buffers"), "{error}");
}

#[test]
fn a_socket_table_beyond_the_limit_of_open_files_is_told_so() {
    let error = refused(Call::Register(REGISTER_FILES2), libc::EMFILE);
    assert!(error.to_string().contains("ulimit -n"), "{error}");
}

#[derive(Clone, Copy)]
enum Call {
    Setup,
    Register(u32),
}

/// Why no ring could be made by a thread for which `call` fails with `errno`.
fn refused(call: Call, errno: i32) -> SetupError {
    let config = RingConfig { files: 16, ..RingConfig::default() };
    thread::spawn(move || {
        refuse(call, errno);
        Ring::new(&config).err()
    })
    .join()
    .unwrap()
    .expect("the ring cannot be made")
}

/// Makes `call` fail with `errno` for the calling thread, for good.
fn refuse(call: Call, errno: i32) {
    const NUMBER_AT: u32 = 0;
    const SECOND_ARGUMENT_AT: u32 = 24;
    let load = |at| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, at);
    let unless = |value, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skip, value);
    let verdict = |value| instruction(libc::BPF_RET | libc::BPF_K, 0, value);
    let (number, operation) = match call {
        Call::Setup => (libc::SYS_io_uring_setup as u32, None),
        Call::Register(operation) => (libc::SYS_io_uring_register as u32, Some(operation)),
    };
    let mut program = vec![load(NUMBER_AT), unless(number, if operation.is_some() { 3 } else { 1 })];
    if let Some(operation) = operation {
        program.extend([load(SECOND_ARGUMENT_AT), unless(operation, 1)]);
    }
    program.push(verdict(libc::SECCOMP_RET_ERRNO | errno as u32));
    program.push(verdict(libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: PR_SET_NO_NEW_PRIVS takes integers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads `filter` and the live program it names, and keeps a copy.
    let outcome = unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const filter) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

fn instruction(code: u32, skip_if_false: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: skip_if_false, k }
}

const REGISTER_FILES2: u32 = 13;
const REGISTER_PBUF_RING: u32 = 22;

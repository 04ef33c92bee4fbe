package dev.podidentity.agent.network;

/** The kernel's error numbers that matter here, as in asm-generic/errno.h. */
final class Errno {

    static final int EPERM = 1;
    static final int EINTR = 4;
    static final int EAGAIN = 11;
    static final int EACCES = 13;
    static final int EEXIST = 17;
    static final int EOPNOTSUPP = 95;
    static final int EAFNOSUPPORT = 97;

    private Errno() {}

    /** Returns a description of the numbers that an operator may encounter. */
    static String describe(int errno) {
        return switch (errno) {
            case EPERM -> "operation not permitted (EPERM)";
            case 2 -> "no such entry (ENOENT)";
            case EAGAIN -> "no response in time (EAGAIN)";
            case EACCES -> "permission denied (EACCES)";
            case 16 -> "device or resource busy (EBUSY)";
            case EEXIST -> "already exists (EEXIST)";
            case 19 -> "no such device (ENODEV)";
            case 22 -> "invalid argument (EINVAL)";
            case EOPNOTSUPP -> "not supported (EOPNOTSUPP)";
            case EAFNOSUPPORT -> "address family not supported (EAFNOSUPPORT)";
            case 99 -> "cannot assign the address (EADDRNOTAVAIL)";
            case 105 -> "no buffer space (ENOBUFS)";
            default -> "errno " + errno;
        };
    }
}

package dev.podidentity.agent.network;

import java.io.IOException;

/** Thrown if the kernel understood a request and refused it. */
final class KernelRefusal extends IOException {

    private static final long serialVersionUID = 1L;

    private final int errno;

    /**
     * @param asked what the kernel was asked to do, to follow "the kernel does not"
     * @param errno the kernel's error number
     * @param remark the kernel's additional message; may be empty
     */
    KernelRefusal(String asked, int errno, String remark) {
        super("the kernel does not " + asked + ": " + Errno.describe(errno) + (remark.isEmpty() ? "" : ", " + remark));
        this.errno = errno;
    }

    boolean is(int number) {
        return errno == number;
    }
}

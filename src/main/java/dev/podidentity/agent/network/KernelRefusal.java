package dev.podidentity.agent.network;

import java.io.IOException;

/** The kernel has understood and says no. */
final class KernelRefusal extends IOException {

    private static final long serialVersionUID = 1L;

    private final int errno;

    /**
     * @param asked what it was to do
     * @param errno the kernel's number for the reason
     * @param remark what it says beside the number; may be empty
     */
    KernelRefusal(String asked, int errno, String remark) {
        super("the kernel does not " + asked + ": " + Errno.describe(errno) + (remark.isEmpty() ? "" : ", " + remark));
        this.errno = errno;
    }

    boolean is(int number) {
        return errno == number;
    }
}

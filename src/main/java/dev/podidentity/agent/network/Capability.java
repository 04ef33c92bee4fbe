package dev.podidentity.agent.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import org.graalvm.nativeimage.PinnedObject;

/**
 * A root privilege that a command needs when it does not run as root. The executable's file capabilities only permit the
 * privileges and do not make them effective, because the kernel refuses to execute a file with effective capabilities that
 * it must not grant, and no container is granted both. Each command therefore makes its own capability effective.
 */
public enum Capability {

    /** Allows the process to bind port 80. */
    NET_BIND_SERVICE(10),
    /** Allows the process to change links, addresses and routes. */
    NET_ADMIN(12);

    private static final int LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    private static final int CALLING_THREAD = 0;
    /** The effective, permitted and inheritable sets, twice: for the lower and the upper 32 capabilities. */
    private static final int SETS_LENGTH = 6 * Integer.BYTES;

    private final int bit;

    /** @param number the capability's number in linux/capability.h */
    Capability(int number) {
        this.bit = 1 << number;
    }

    /**
     * Makes the capability effective if it is permitted; otherwise, and on a JVM, does nothing. Code that lacks the
     * capability reports this when the kernel refuses. A capability belongs to a thread and is inherited by the threads it
     * starts, so the main thread must call this before it starts others.
     */
    public void raise() {
        if (!Libc.available()) {
            return;
        }
        ByteBuffer header = numbers(2 * Integer.BYTES).putInt(LINUX_CAPABILITY_VERSION_3).putInt(CALLING_THREAD);
        ByteBuffer sets = numbers(SETS_LENGTH);
        try (PinnedObject pinnedHeader = PinnedObject.create(header.array());
                PinnedObject pinnedSets = PinnedObject.create(sets.array())) {
            if (Libc.capget(pinnedHeader.addressOfArrayElement(0), pinnedSets.addressOfArrayElement(0)) != 0) {
                return;
            }
            Optional<Integer> effective = raised(sets.getInt(0), sets.getInt(Integer.BYTES));
            if (effective.isPresent()) {
                sets.putInt(0, effective.get());
                Libc.capset(pinnedHeader.addressOfArrayElement(0), pinnedSets.addressOfArrayElement(0));
            }
        }
    }

    /** Returns the new effective set; empty if it does not change. */
    Optional<Integer> raised(int effective, int permitted) {
        boolean missing = (permitted & ~effective & bit) != 0;
        return missing ? Optional.of(effective | bit) : Optional.empty();
    }

    private static ByteBuffer numbers(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }
}

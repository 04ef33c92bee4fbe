package dev.podidentity.agent.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import org.graalvm.nativeimage.PinnedObject;

/**
 * A right of root's that a command needs where it is not root. The executable's file capabilities only permit these rights
 * and do not put them into effect: the kernel refuses to execute a file whose effective capabilities it must not grant, and
 * no container is granted both. So each command puts its own into effect.
 */
public enum Capability {

    /** To bind port 80. */
    NET_BIND_SERVICE(10),
    /** To change links, addresses and routes. */
    NET_ADMIN(12);

    private static final int LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    private static final int CALLING_THREAD = 0;
    /** Effective, permitted and inheritable, twice: for the lower and the upper 32 capabilities. */
    private static final int SETS_LENGTH = 6 * Integer.BYTES;

    private final int bit;

    /** @param number as linux/capability.h has it */
    Capability(int number) {
        this.bit = 1 << number;
    }

    /**
     * Puts the capability into effect if it is permitted; else, and on a JVM, does nothing. What lacks it says so when
     * it is refused. A capability belongs to a thread and to those that it starts, so this is for the main thread, before
     * it has started any.
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

    /** What is to be in effect, if that is not what is. */
    Optional<Integer> raised(int effective, int permitted) {
        boolean missing = (permitted & ~effective & bit) != 0;
        return missing ? Optional.of(effective | bit) : Optional.empty();
    }

    private static ByteBuffer numbers(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }
}

package dev.podidentity.agent.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import org.graalvm.nativeimage.PinnedObject;

/**
 * The right to bind port 80 without being root. The executable's file capability only permits it, and does not put it
 * into effect: the kernel refuses to execute a file whose effective capabilities it must not grant, and the init
 * container, which executes the same file, is not granted this one. So the agent puts it into effect itself.
 */
public final class BindCapability {

    private static final int CAP_NET_BIND_SERVICE = 1 << 10;
    private static final int LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    private static final int CALLING_THREAD = 0;
    /** Effective, permitted and inheritable, twice: for the lower and the upper 32 capabilities. */
    private static final int SETS_LENGTH = 6 * Integer.BYTES;

    private BindCapability() {}

    /**
     * Puts the capability into effect if it is permitted; else, and on a JVM, does nothing. What lacks it says so when
     * it binds. A capability belongs to a thread and to those that it starts, so this is for the main thread, before
     * it has started any.
     */
    public static void raise() {
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
    static Optional<Integer> raised(int effective, int permitted) {
        boolean missing = (permitted & ~effective & CAP_NET_BIND_SERVICE) != 0;
        return missing ? Optional.of(effective | CAP_NET_BIND_SERVICE) : Optional.empty();
    }

    private static ByteBuffer numbers(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }
}

package dev.podidentity.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The capabilities of the executable, stored as an extended attribute of its file.
 *
 * <p>They are permitted but not effective: with the effective bit, the kernel would refuse to run the file in a container
 * whose bounding set lacks one of them. {@code docs/decisions/0006-image.md} explains why they are file capabilities.
 */
final class FileCapability {

    /** The capabilities in the syntax of {@code setcap}. */
    static final String TEXT = "cap_net_bind_service,cap_net_admin=p";

    /** The PAX header for the extended attribute, which container runtimes and GNU tar read. */
    static final String PAX_HEADER = "SCHILY.xattr.security.capability";

    private static final int REVISION_2 = 0x02000000;
    private static final int NET_BIND_SERVICE = 1 << 10;
    private static final int NET_ADMIN = 1 << 12;

    private FileCapability() {}

    /**
     * Returns the attribute in the kernel's format: revision and flags, then two pairs of permitted and inheritable bits, in
     * little-endian order. No byte exceeds 127, so that the value is the same in the UTF-8 of a PAX header.
     */
    static byte[] attribute() {
        return ByteBuffer.allocate(5 * Integer.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(REVISION_2)
                .putInt(NET_BIND_SERVICE | NET_ADMIN)
                .array();
    }

    static String paxValue() {
        return new String(attribute(), StandardCharsets.US_ASCII);
    }
}

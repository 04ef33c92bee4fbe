package dev.podidentity.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The capabilities that the executable carries as an attribute of its file.
 *
 * <p>They are permitted and not effective. With the effective bit the kernel would refuse to run the file in a container
 * whose bounding set does not hold both; why they are a file's at all is in {@code docs/decisions/0006-image.md}.
 */
final class FileCapability {

    /** What {@code setcap} calls them. */
    static final String TEXT = "cap_net_bind_service,cap_net_admin=p";

    /** The name of a PAX header that makes the extended attribute; container runtimes and GNU tar read it. */
    static final String PAX_HEADER = "SCHILY.xattr.security.capability";

    private static final int REVISION_2 = 0x02000000;
    private static final int NET_BIND_SERVICE = 1 << 10;
    private static final int NET_ADMIN = 1 << 12;

    private FileCapability() {}

    /**
     * The attribute as the kernel keeps it: revision and flags, then two pairs of permitted and inheritable bits, all in
     * little-endian order. No byte is above 127, so that the value is the same in the UTF-8 of a PAX header.
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

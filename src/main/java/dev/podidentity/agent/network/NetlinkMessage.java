package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A netlink message from the kernel; also parses and builds messages.
 *
 * @param type the message type, such as RTM_NEWLINK or NLMSG_DONE
 * @param flags the flags, such as NLM_F_DUMP_INTR
 * @param sequence the sequence number of the request that it answers
 * @param body what follows the header
 */
record NetlinkMessage(int type, int flags, int sequence, ByteBuffer body) {

    /** The length of the header. Numbers in a message have the machine's byte order. */
    static final int HEADER = 16;
    private static final int ATTRIBUTE_HEADER = 4;
    /** Messages and attributes start at a multiple of this. */
    private static final int ALIGNMENT = 4;

    /**
     * Splits a datagram into messages.
     *
     * @throws IOException if a length is inconsistent
     */
    static List<NetlinkMessage> in(byte[] datagram) throws IOException {
        ByteBuffer rest = ByteBuffer.wrap(datagram).order(ByteOrder.nativeOrder());
        List<NetlinkMessage> messages = new ArrayList<>();
        while (rest.hasRemaining()) {
            if (rest.remaining() < HEADER) {
                throw new IOException("an incomplete header in the kernel's response");
            }
            int start = rest.position();
            int length = rest.getInt();
            int type = Short.toUnsignedInt(rest.getShort());
            int flags = Short.toUnsignedInt(rest.getShort());
            int sequence = rest.getInt();
            if (length < HEADER || length > rest.limit() - start) {
                throw new IOException("a message of " + length + " bytes in a response that has "
                        + (rest.limit() - start) + " left");
            }
            messages.add(new NetlinkMessage(type, flags, sequence,
                    part(rest, start + HEADER, length - HEADER)));
            rest.position(Math.min(start + aligned(length), rest.limit()));
        }
        return messages;
    }

    boolean has(int flag) {
        return (flags & flag) != 0;
    }

    /** Returns the fixed part at the start of this message type. */
    ByteBuffer fixed(int length) throws IOException {
        if (body.limit() < length) {
            throw new IOException("a message of type " + type + " with a body of " + body.limit() + " bytes");
        }
        return part(body, 0, length);
    }

    /** Returns the attributes that follow the fixed part. */
    Attributes attributes(int fixedLength) throws IOException {
        fixed(fixedLength);
        int start = Math.min(aligned(fixedLength), body.limit());
        return Attributes.in(part(body, start, body.limit() - start));
    }

    private static int aligned(int length) {
        return (length + ALIGNMENT - 1) & -ALIGNMENT;
    }

    private static ByteBuffer part(ByteBuffer whole, int start, int length) {
        return whole.slice(start, length).order(ByteOrder.nativeOrder());
    }

    /** Builds a netlink message: a header, a fixed part, and attributes, which may be nested. */
    static final class Builder {

        /** More than any request of the agent needs. */
        private static final int CAPACITY = 256;

        private final ByteBuffer message = ByteBuffer.allocate(CAPACITY).order(ByteOrder.nativeOrder());

        Builder(int type, int flags, int sequence) {
            // The first field is the length, which build() sets; the last is the sender's port, which the kernel knows.
            message.putInt(0).putShort((short) type).putShort((short) flags).putInt(sequence).putInt(0);
        }

        Builder bytes(int... values) {
            for (int value : values) {
                message.put((byte) value);
            }
            return this;
        }

        Builder number(int value) {
            message.putInt(value);
            return this;
        }

        Builder attribute(int type, byte[] value) {
            message.putShort((short) (ATTRIBUTE_HEADER + value.length)).putShort((short) type).put(value);
            message.position(aligned(message.position()));
            return this;
        }

        Builder attribute(int type, int value) {
            return attribute(type, ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.nativeOrder()).putInt(value).array());
        }

        /** Adds a C string, which ends with a zero byte. */
        Builder attribute(int type, String value) {
            byte[] text = value.getBytes(StandardCharsets.US_ASCII);
            return attribute(type, Arrays.copyOf(text, text.length + 1));
        }

        /** Adds an attribute that contains one string attribute. */
        Builder nested(int type, int inner, String value) {
            int start = message.position();
            message.putShort((short) 0).putShort((short) type);
            attribute(inner, value);
            message.putShort(start, (short) (message.position() - start));
            return this;
        }

        byte[] build() {
            message.putInt(0, message.position());
            return Arrays.copyOf(message.array(), message.position());
        }
    }

    /** The attributes of a netlink message or of an attribute; unknown ones are ignored. */
    static final class Attributes {

        /** The upper two bits of a type are flags for the encoding of the value. */
        private static final int TYPE_MASK = 0x3fff;

        private final Map<Integer, ByteBuffer> values;

        private Attributes(Map<Integer, ByteBuffer> values) {
            this.values = values;
        }

        /** @throws IOException if a length is inconsistent */
        static Attributes in(ByteBuffer bytes) throws IOException {
            Map<Integer, ByteBuffer> values = new HashMap<>();
            int position = 0;
            while (bytes.limit() - position >= ATTRIBUTE_HEADER) {
                int length = Short.toUnsignedInt(bytes.getShort(position));
                int type = Short.toUnsignedInt(bytes.getShort(position + Short.BYTES)) & TYPE_MASK;
                if (length < ATTRIBUTE_HEADER || length > bytes.limit() - position) {
                    throw new IOException("an attribute of " + length + " bytes in a message that has "
                            + (bytes.limit() - position) + " left");
                }
                values.put(type, part(bytes, position + ATTRIBUTE_HEADER,
                        length - ATTRIBUTE_HEADER));
                position += aligned(length);
            }
            return new Attributes(values);
        }

        Optional<byte[]> bytes(int type) {
            return Optional.ofNullable(values.get(type)).map(value -> {
                byte[] copy = new byte[value.limit()];
                value.get(0, copy);
                return copy;
            });
        }

        Optional<Integer> number(int type) {
            return Optional.ofNullable(values.get(type))
                    .filter(value -> value.limit() >= Integer.BYTES)
                    .map(value -> value.getInt(0));
        }

        /** Returns a C string, without the zero byte at its end. */
        Optional<String> text(int type) {
            return bytes(type).map(value -> {
                int length = 0;
                while (length < value.length && value[length] != 0) {
                    length++;
                }
                return new String(value, 0, length, StandardCharsets.UTF_8);
            });
        }

        /** Returns the attributes nested in this one; none if it is absent. */
        Attributes nested(int type) throws IOException {
            ByteBuffer value = values.get(type);
            return value == null ? new Attributes(Map.of()) : in(value);
        }
    }
}

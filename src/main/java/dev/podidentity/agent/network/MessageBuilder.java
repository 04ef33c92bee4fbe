package dev.podidentity.agent.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Writes one netlink message: its header, a fixed part, and attributes, which may hold others. */
final class MessageBuilder {

    /** Of a message. The numbers in it are in the machine's own order. */
    static final int HEADER = 16;
    /** Of an attribute. */
    static final int ATTRIBUTE_HEADER = 4;
    /** Everything begins at a multiple of this. */
    static final int ALIGNMENT = 4;
    /** More than any request of ours needs. */
    private static final int CAPACITY = 256;

    private final ByteBuffer message = ByteBuffer.allocate(CAPACITY).order(ByteOrder.nativeOrder());

    MessageBuilder(int type, int flags, int sequence) {
        // The length, which build() writes, comes first; the sender's port, which the kernel knows, last.
        message.putInt(0).putShort((short) type).putShort((short) flags).putInt(sequence).putInt(0);
    }

    static int aligned(int length) {
        return (length + ALIGNMENT - 1) & -ALIGNMENT;
    }

    MessageBuilder bytes(int... values) {
        for (int value : values) {
            message.put((byte) value);
        }
        return this;
    }

    MessageBuilder number(int value) {
        message.putInt(value);
        return this;
    }

    MessageBuilder attribute(int type, byte[] value) {
        message.putShort((short) (ATTRIBUTE_HEADER + value.length)).putShort((short) type).put(value);
        message.position(aligned(message.position()));
        return this;
    }

    MessageBuilder attribute(int type, int value) {
        return attribute(type, ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.nativeOrder()).putInt(value).array());
    }

    /** Text as C has it, with a zero at its end. */
    MessageBuilder attribute(int type, String value) {
        byte[] text = value.getBytes(StandardCharsets.US_ASCII);
        return attribute(type, Arrays.copyOf(text, text.length + 1));
    }

    /** An attribute that holds one other, of text. */
    MessageBuilder nested(int type, int inner, String value) {
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

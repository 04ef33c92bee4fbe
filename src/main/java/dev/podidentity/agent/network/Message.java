package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A netlink message from the kernel.
 *
 * @param type what it is, such as RTM_NEWLINK or NLMSG_DONE
 * @param flags such as NLM_F_DUMP_INTR
 * @param sequence of the request that it answers
 * @param body what follows the header
 */
record Message(int type, int flags, int sequence, ByteBuffer body) {

    /**
     * Takes a datagram apart.
     *
     * @throws IOException if a length in it does not fit
     */
    static List<Message> in(byte[] datagram) throws IOException {
        ByteBuffer rest = ByteBuffer.wrap(datagram).order(ByteOrder.nativeOrder());
        List<Message> messages = new ArrayList<>();
        while (rest.hasRemaining()) {
            if (rest.remaining() < MessageBuilder.HEADER) {
                throw new IOException("half a header in the kernel's answer");
            }
            int start = rest.position();
            int length = rest.getInt();
            int type = Short.toUnsignedInt(rest.getShort());
            int flags = Short.toUnsignedInt(rest.getShort());
            int sequence = rest.getInt();
            if (length < MessageBuilder.HEADER || length > rest.limit() - start) {
                throw new IOException("a message of " + length + " bytes in an answer that has "
                        + (rest.limit() - start) + " left");
            }
            messages.add(new Message(type, flags, sequence,
                    part(rest, start + MessageBuilder.HEADER, length - MessageBuilder.HEADER)));
            rest.position(Math.min(start + MessageBuilder.aligned(length), rest.limit()));
        }
        return messages;
    }

    boolean has(int flag) {
        return (flags & flag) != 0;
    }

    /** The fixed part that this type of message begins with. */
    ByteBuffer fixed(int length) throws IOException {
        if (body.limit() < length) {
            throw new IOException("a message of type " + type + " with a body of " + body.limit() + " bytes");
        }
        return part(body, 0, length);
    }

    /** What follows the fixed part. */
    Attributes attributes(int fixedLength) throws IOException {
        fixed(fixedLength);
        int start = Math.min(MessageBuilder.aligned(fixedLength), body.limit());
        return Attributes.in(part(body, start, body.limit() - start));
    }

    static ByteBuffer part(ByteBuffer whole, int start, int length) {
        return whole.slice(start, length).order(ByteOrder.nativeOrder());
    }
}

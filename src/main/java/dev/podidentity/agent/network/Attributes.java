package dev.podidentity.agent.network;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** The attributes of a netlink message, or of an attribute; what nobody asks for is passed over. */
final class Attributes {

    /** The upper two bits of a type say how the value is written, and are no part of it. */
    private static final int TYPE_MASK = 0x3fff;

    private final Map<Integer, ByteBuffer> values;

    private Attributes(Map<Integer, ByteBuffer> values) {
        this.values = values;
    }

    /** @throws IOException if a length does not fit */
    static Attributes in(ByteBuffer bytes) throws IOException {
        Map<Integer, ByteBuffer> values = new HashMap<>();
        int position = 0;
        while (bytes.limit() - position >= MessageBuilder.ATTRIBUTE_HEADER) {
            int length = Short.toUnsignedInt(bytes.getShort(position));
            int type = Short.toUnsignedInt(bytes.getShort(position + Short.BYTES)) & TYPE_MASK;
            if (length < MessageBuilder.ATTRIBUTE_HEADER || length > bytes.limit() - position) {
                throw new IOException("an attribute of " + length + " bytes in a message that has "
                        + (bytes.limit() - position) + " left");
            }
            values.put(type, Message.part(bytes, position + MessageBuilder.ATTRIBUTE_HEADER,
                    length - MessageBuilder.ATTRIBUTE_HEADER));
            position += MessageBuilder.aligned(length);
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

    /** Text up to its zero. */
    Optional<String> text(int type) {
        return bytes(type).map(value -> {
            int length = 0;
            while (length < value.length && value[length] != 0) {
                length++;
            }
            return new String(value, 0, length, StandardCharsets.UTF_8);
        });
    }

    /** The attributes that this one holds; none if it is not there. */
    Attributes nested(int type) throws IOException {
        ByteBuffer value = values.get(type);
        return value == null ? new Attributes(Map.of()) : in(value);
    }
}

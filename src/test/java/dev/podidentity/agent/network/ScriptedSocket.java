package dev.podidentity.agent.network;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/** Returns prepared responses in order, regardless of the requests. */
final class ScriptedSocket implements NetlinkSocket {

    private final Deque<byte[]> answers = new ArrayDeque<>();
    private final List<byte[]> sent = new ArrayList<>();

    /** Adds one response that contains all these messages. */
    void answer(byte[]... messages) {
        answers.add(concatenated(messages));
    }

    static byte[] concatenated(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        Arrays.stream(parts).forEach(all::writeBytes);
        return all.toByteArray();
    }

    /** Returns the requests sent. */
    List<byte[]> sent() {
        return sent;
    }

    @Override
    public void send(byte[] datagram) {
        sent.add(datagram);
    }

    @Override
    public byte[] receive() throws IOException {
        if (answers.isEmpty()) {
            throw new IOException("recv: no response in time (EAGAIN)");
        }
        return answers.remove();
    }

    @Override
    public void close() {
        answers.clear();
    }
}

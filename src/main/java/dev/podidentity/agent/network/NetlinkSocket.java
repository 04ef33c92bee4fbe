package dev.podidentity.agent.network;

import java.io.IOException;

/** Datagrams to and from the kernel. */
interface NetlinkSocket extends AutoCloseable {

    void send(byte[] datagram) throws IOException;

    /** Waits for the next datagram, for some seconds at most. Never gives a part of one. */
    byte[] receive() throws IOException;

    @Override
    void close();
}

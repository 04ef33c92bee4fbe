package dev.podidentity.agent.network;

import java.io.IOException;

/** Exchanges datagrams with the kernel. */
interface NetlinkSocket extends AutoCloseable {

    void send(byte[] datagram) throws IOException;

    /** Waits for the next datagram, for at most a few seconds. Never returns a truncated one. */
    byte[] receive() throws IOException;

    @Override
    void close();
}

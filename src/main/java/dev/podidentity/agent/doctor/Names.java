package dev.podidentity.agent.doctor;

import java.net.InetAddress;
import java.net.UnknownHostException;

/** Resolves host names. Blocks. */
interface Names {

    Names PLATFORM = InetAddress::getAllByName;

    InetAddress[] addressesOf(String host) throws UnknownHostException;
}

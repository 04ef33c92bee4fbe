package dev.podidentity.agent.loop;

import java.util.concurrent.Executor;

/** The event loop to which an object is confined; runs tasks on it, immediately or after a delay. */
public interface Loop extends Timers, Executor {}

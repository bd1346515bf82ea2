"""Several devices or machines in, one training out: the strategy, and sums that cross its replicas."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import keras


def choose_strategy() -> Any:
    """The `tf.distribute` strategy that the machine asks for, or None for one device.

    `TF_CONFIG` in the environment means several machines (`MultiWorkerMirroredStrategy`), several GPUs
    mean `MirroredStrategy`. Other Keras backends place their work themselves.

    Example:
        >>> choose_strategy() is None
        True
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if os.environ.get("TF_CONFIG"):
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.MirroredStrategy() if len(tf.config.list_physical_devices("GPU")) > 1 else None


def workers(strategy: Any) -> int:
    """How many machines train together."""
    resolver = getattr(strategy, "cluster_resolver", None)
    spec = resolver.cluster_spec().as_dict() if resolver else {}
    return max(1, sum(len(tasks) for job, tasks in spec.items() if job in ("chief", "worker")))


def is_chief(strategy: Any) -> bool:
    """Whether this process writes the run's folder; with one machine it does."""
    if workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().as_dict() else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def scope(strategy: Any) -> Any:
    """The strategy's scope, or a context that does nothing."""
    return strategy.scope() if strategy is not None else contextlib.nullcontext()


def sum_over_replicas(x):
    """The sum of a tensor over all replicas that share a batch; `x` itself where there is one.

    A loss made of such sums is the loss of the whole batch, so that two devices learn what one would.
    """
    if keras.backend.backend() != "tensorflow":
        return x
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def fit_distributed(
    model: keras.Model,
    data: Any,
    strategy: Any,
    *,
    callbacks: list,
    epochs: int,
    initial_epoch: int,
    steps: int,
) -> None:
    """What `model.fit` does for one device, for a strategy.

    `model.fit` of Keras 3 fails with several workers, and with several devices it uses up the first
    batch to build the model, so that a run that goes on would see other data than one that was not cut off.

    Args:
        model: Compiled, and its optimizer built, in the strategy's scope; its loss must be made of `sum_over_replicas`.
        data: Endless dataset of (image, target) batches; each batch is shared among the replicas.
        strategy: A `tf.distribute.Strategy`.
        callbacks: Keras callbacks; `logs` holds the mean `loss` of the epoch so far.
        epochs: Number of the last epoch.
        initial_epoch: How many epochs are complete.
        steps: Optimizer steps an epoch.
    """
    import tensorflow as tf

    def replica_step(image, target):
        with tf.GradientTape() as tape:
            loss = model.loss(target, model(image, training=True))
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    @tf.function
    def step(batch):
        # Keras gives each replica its share of the loss, so the shares add up.
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica_step, args=batch), axis=None)

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = iter(strategy.experimental_distribute_dataset(data.with_options(options)))
    told = keras.callbacks.CallbackList(callbacks, model=model)
    told.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        told.on_epoch_begin(epoch)
        total = 0.0
        for index in range(steps):
            told.on_train_batch_begin(index)
            total += float(step(next(batches)))
            told.on_train_batch_end(index, {"loss": total / (index + 1)})
            if model.stop_training:
                break
        told.on_epoch_end(epoch, {"loss": total / (index + 1)})
        if model.stop_training:
            break
    told.on_train_end()

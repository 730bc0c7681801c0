-- stems: the files that a job delivered, opened and checked before anything is changed.
return function (lib)
  local M = {}
  local r = reaper

  --- The stems in a job's result as { { name, path, source }, ... }, in the model's order.
  -- Every source that is opened is put into `opened`, too. Fails where one is damaged or does not fit.
  function M.open (job, opened)
    local what, result, stems = job.what, job.result, {}
    local frames = what.stop - what.first
    for _, file in ipairs (result.files or {}) do
      if file.name ~= "mix" then
        local why
        local source = r.PCM_Source_CreateFromFile (file.path)
        if source then
          opened[#opened + 1] = source
          local rate = r.GetMediaSourceSampleRate (source)
          local length = math.floor (r.GetMediaSourceLength (source) * rate + 0.5)
          if length ~= frames or rate ~= what.rate then
            why = ("it holds %d samples at %d Hz, and %d at %d Hz are needed"):format (length, rate, frames, what.rate)
          elseif r.GetMediaSourceNumChannels (source) ~= what.channels then
            why = "it has another number of channels than the item"
          end
        else
          why = "it is missing or can't be read"
        end
        if why then lib.fail (("The stem %s can't be used: %s."):format (file.path, why)) end
        stems[#stems + 1] = { name = file.name, path = file.path, source = source }
      end
    end
    if #stems == 0 then lib.fail ("The job delivered no stems.") end
    return stems
  end

  --- Free sources that no take has taken over. Never fails.
  function M.free (opened, taken)
    for _, source in ipairs (opened) do
      if not taken[source] then lib.try (r.PCM_Source_Destroy, source) end
    end
  end

  --- Let REAPER draw the waveforms, a little per tick; takes may vanish meanwhile.
  function M.build_peaks (project, takes)
    if not r.PCM_Source_BuildPeaks then return end
    for _, take in ipairs (takes) do
      local function source ()
        return r.ValidatePtr2 (project, take, "MediaItem_Take*") and r.GetMediaItemTake_Source (take)
      end
      lib.breathe ()
      if source () and r.PCM_Source_BuildPeaks (source (), 0) ~= 0 then
        repeat lib.breathe () until not source () or r.PCM_Source_BuildPeaks (source (), 1) == 0
        if source () then r.PCM_Source_BuildPeaks (source (), 2) end
      end
    end
  end

  return M
end

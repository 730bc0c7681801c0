-- imgui_window: the progress window drawn by the extension ReaImGui, where the user has it.
return function (lib)
  local M = {}
  local r = reaper
  local WIDTH, HEIGHT = 440, 110
  local context

  --- Whether ReaImGui is there and gives a window.
  function M.open ()
    context = r.ImGui_CreateContext and lib.try (r.ImGui_CreateContext, "stemfix")
    return context ~= nil
  end

  --- Draw; call it on every tick. Returns false where ReaImGui fails, and "cancel", "closed" or nil.
  function M.tick (progress, text)
    local outcome
    local ok, why = pcall (function ()
      r.ImGui_SetNextWindowSize (context, WIDTH, HEIGHT, r.ImGui_Cond_FirstUseEver ())
      local visible, open = r.ImGui_Begin (context, "stemfix", true)
      if visible then
        r.ImGui_Text (context, text)
        r.ImGui_ProgressBar (context, progress, -1, 0, ("%d %%"):format (math.floor (progress * 100)))
        if r.ImGui_Button (context, "Cancel") then outcome = "cancel" end
        r.ImGui_End (context)
      end
      if not open then outcome = "closed" end
    end)
    if not ok then lib.log ("ReaImGui:", why) end
    return ok, outcome
  end

  return M
end
